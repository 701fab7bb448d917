"""The same sign-in opens the way out: a token that the submission server refuses is refreshed once."""

import pytest

from provider import Account, ErrorKind, InvalidRequest, Login, LoginRefused, Security, Smtp, try_way_out
from provider.access.oauth import Grant
from provider.access.tokens import OAuthCredentials
from provider.access.web import HttpClient
from provider.testing import MemoryVault
from store.mail import AccountId

from ..servers.fakesmtp import FakeSmtp, Manners
from ..servers.oauth_server import OAuthServer

USER = "jo@example.org"


@pytest.mark.parametrize("login", [Login.XOAUTH2, Login.OAUTHBEARER], ids=lambda login: login.value)
@pytest.mark.parametrize("revoked", [False, True], ids=["expired", "revoked"])
def test_a_token_that_is_refused_is_refreshed_once(login: Login, revoked: bool) -> None:
    good = {USER: "a-token-of-the-future"}
    with OAuthServer() as oauth, FakeSmtp(Manners(users=good)) as server:
        oauth.issued = lambda token, user: good.update({user: token})
        sign_in = oauth.sign_in(USER)
        sign_in.revoked = revoked
        credentials = OAuthCredentials(MemoryVault(), oauth.client(), HttpClient())
        grant = Grant(access_token="token-that-is-over", refresh_token=sign_in.refresh)
        credentials.keep(AccountId("work"), grant)
        smtp = Smtp(host="127.0.0.1", port=server.port, security=Security.NONE, login=login)
        account = Account(id=AccountId("work"), host="h", user=USER, smtp=smtp, credentials=credentials)
        if revoked:
            with pytest.raises(LoginRefused) as told:
                try_way_out(account)
            assert told.value.kind is ErrorKind.SIGN_IN_AGAIN
        else:
            try_way_out(account)

    assert sign_in.asked == 1
    assert server.delivered == []


def test_an_account_without_a_way_out_says_so() -> None:
    with pytest.raises(InvalidRequest, match="no way out"):
        try_way_out(Account(id=AccountId("work"), host="h", user=USER))
