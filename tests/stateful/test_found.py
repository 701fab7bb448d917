"""Histories that went wrong once, each by its name: found by `test_histories`, made as short as they go."""

from collections.abc import Callable

import pytest

from ..servers.dovecot import DovecotAccount, Profile
from .world import World

pytestmark = pytest.mark.servers
Accounts = Callable[[Profile], DovecotAccount]


@pytest.fixture(params=[Profile.FULL])
def world(request: pytest.FixtureRequest, dovecot_profiles: Accounts) -> World:
    """A new account; it comes to rest, and must agree, at the end of each test."""
    return World(dovecot_profiles(request.param))


def on(*profiles: Profile) -> pytest.MarkDecorator:
    """Play on these kinds of server instead of a full one."""
    return pytest.mark.parametrize("world", profiles, indirect=True, ids=lambda profile: profile.name)


def test_the_time_of_what_is_added_here_is_kept_as_a_server_tells_it(world: World) -> None:
    with world:
        world.append_here(0, 3, 0, 1)
        world.come_to_rest()


def test_a_folder_that_is_empty_here_and_not_there_is_not_deleted_unasked(world: World) -> None:
    with world:
        world.append_there(2, 2, 2)
        world.remove_folder_here(1, 3)
        world.sync(1)
        assert [one.state.value for one in world.clients[1].pending()] == ["held"]
        world.come_to_rest()


def test_what_was_moved_out_of_a_folder_that_never_came_to_the_server_is_not_forgotten_with_it(world: World) -> None:
    with world:
        world.create_here(1, 3)
        world.append_here(1, 4, 1, 3)
        world.move_here(1, 7, 6)
        world.remove_folder_here(1, 0)
        world.come_to_rest()


def test_a_folder_deleted_on_both_sides_is_deleted(world: World) -> None:
    with world:
        world.append_there(2, 2, 2)
        world.sync(1)
        world.remove_folder_here(1, 3)
        world.remove_folder_there(2)
        world.come_to_rest()


@on(Profile.FULL, Profile.NO_MOVE, Profile.NO_UIDPLUS, Profile.BARE)
def test_what_was_thrown_away_here_and_removed_there_is_gone_on_both_sides(world: World) -> None:
    with world:
        world.append_there(0, 0, 0)
        world.sync(0)
        world.delete_here(0, 8, False)
        world.delete_there(1)
        world.come_to_rest()


@on(Profile.FULL, Profile.BARE)
def test_mail_leaves_a_folder_that_was_deleted_here_before_that_goes(world: World) -> None:
    with world:
        world.append_there(2, 2, 2)
        world.sync(0)
        world.delete_here(0, 3, True)
        world.remove_folder_here(0, 7)
        world.come_to_rest()


@on(Profile.BARE, Profile.NO_UIDPLUS)
def test_what_was_brought_nobody_knows_where_and_taken_away_again_leaves_no_ghost(world: World) -> None:
    with world:
        world.append_there(0, 3, 3)
        world.create_here(0, 2)
        world.sync(0)
        world.move_here(0, 7, 0)
        world.rename_there(0, 4)
        world.come_to_rest()


def test_what_was_to_be_moved_is_moved_though_its_folder_was_renumbered(world: World) -> None:
    with world:
        for number in range(4):
            world.append_there(number % 3, number, number)
        world.sync(0)
        world.mark_there(9, 0, True)
        world.delete_here(0, 3, True)
        world.renumber(4)
        world.move_here(0, 4, 6)
        world.come_to_rest()


@on(Profile.NEITHER)
def test_a_visit_that_was_broken_off_is_made_again_though_no_number_differs(world: World) -> None:
    with world:
        world.append_here(1, 6, 1, 5)
        world.sync_killed(1, 3860, False)
        world.sync(0)
        world.move_here(0, 0, 5)
        world.append_there(5, 2, 3)
        world.sync_killed(0, 3447, False)
        world.come_to_rest()


@on(Profile.NEITHER)
def test_one_that_stays_marked_and_one_that_goes_do_not_make_up_for_each_other(world: World) -> None:
    with world:
        for number in range(4):
            world.append_there((1, 2, 0, 1)[number], number + 1, number + 1)
        world.create_there(4)
        world.sync_killed(1, 1846, False)
        world.append_here(1, 6, 1, 1)
        world.sync_killed(1, 2378, True)
        world.move_here(1, 5, 4)
        world.delete_there(4)
        world.delete_here(1, 4, False)
        world.come_to_rest()


@on(Profile.NO_MOVE)
def test_a_folder_deleted_on_both_sides_out_of_which_mail_was_moved_here_comes_to_rest(world: World) -> None:
    with world:
        world.append_there(0, 0, 0)
        world.move_there(4, 5)
        world.sync_cut(1, 3075, True, True)
        world.rename_here(1, 6, 3)
        world.move_here(1, 2, 5)
        world.remove_folder_here(1, 2)
        world.remove_folder_there(7)
        world.create_there(0)
        world.come_to_rest()


@on(Profile.FULL, Profile.NEITHER)
def test_a_folder_renamed_to_lie_below_a_new_one_of_its_own_old_name_is_there(world: World) -> None:
    with world:
        world.append_there(2, 2, 2)
        world.sync(0)
        world.rename_here(0, 4, 4)
        world.delete_here(0, 9, False)
        world.rename_here(0, 4, 1)
        world.sync(0)
        assert world.clients[0].pending() == ()
        paths = [str(folder.path) for folder in world.clients[0].folders()]
        assert paths == ["INBOX", "Trash", "Work", "Work/Old", "Work/Old/2023"]
        world.come_to_rest()


@on(Profile.BARE, Profile.FULL)
def test_what_is_moved_back_to_where_it_was_and_was_moved_away_there_is_there(world: World) -> None:
    with world:
        world.append_there(0, 0, 0)
        world.sync(0)
        world.create_here(0, 2)
        world.move_here(0, 6, 0)
        world.move_there(2, 4)
        world.look(0)
        world.move_here(0, 6, 5)
        world.come_to_rest()


@on(Profile.NO_CONDSTORE)
def test_what_was_moved_by_others_while_it_was_in_doubt_may_be_sent_twice_and_not_thrice(world: World) -> None:
    with world:
        world.remove_folder_there(1)
        world.append_there(6, 2, 1)
        world.sync(0)
        world.copy_here(0, 0, 2)
        world.copy_here(0, 0, 2)
        world.sync_killed(0, 1217, False)
        world.move_there(2, 5)
        world.come_to_rest()


@on(Profile.NO_QRESYNC)
def test_a_copy_is_taken_for_ours_that_others_made_before_the_line_broke(world: World) -> None:
    """One too few is there, which docs/two-way.md tells of (the window of doubt), and the ledger knows."""
    with world:
        world.append_there(0, 0, 0)
        world.sync(1)
        world.copy_here(1, 4, 1)
        world.copy_there(3, 4)
        world.sync_killed(1, 71, True)
        world.come_to_rest()


@on(Profile.NO_QRESYNC)
def test_what_is_copied_may_be_renumbered_before_its_octets_are_here(world: World) -> None:
    with world:
        for number in range(3):
            world.append_there(number, number, number)
        world.append_here(0, 3, 1, 2)
        world.create_here(0, 3)
        world.sync_killed(0, 1377, True)
        world.renumber(6)
        world.copy_here(0, 1, 6)


@on(Profile.FULL, Profile.NEITHER)
def test_what_was_moved_on_both_sides_is_not_taken_for_an_equal_one_that_was_removed(world: World) -> None:
    with world:
        world.append_there(1, 0, 5)
        world.copy_there(0, 0)
        world.sync(0)
        world.delete_there(0)
        world.sync(0)
        world.move_there(0, 0)
        world.move_here(0, 0, 2)
        world.come_to_rest()
        with world.server.client() as plain:
            assert [one.folder for one in world.everything(plain)] == ["INBOX"]


@on(Profile.NO_MOVE)
def test_what_was_on_its_way_into_a_folder_of_which_only_the_name_is_left_is_sent_again(world: World) -> None:
    with world:
        world.remove_folder_here(1, 1)
        world.create_here(0, 1)
        world.append_here(0, 2, 2, 3)
        world.sync(1)
        world.sync_cut(0, 367, True, False)
        world.come_to_rest()


@on(Profile.FULL, Profile.NO_QRESYNC)
def test_what_was_copied_out_of_a_folder_deleted_on_both_sides_and_made_again_there_is_copied(world: World) -> None:
    with world:
        world.append_there(2, 0, 0)
        world.append_there(2, 1, 1)
        world.sync(1)
        world.copy_here(1, 0, 0)
        world.remove_folder_here(1, 0)
        world.remove_folder_there(0)
        world.create_there(0)
        world.come_to_rest()


@on(Profile.NEITHER)
def test_a_copy_of_what_is_only_a_header_here_goes_with_its_origin(world: World) -> None:
    with world:
        world.append_there(2, 5, 5)
        world.append_there(0, 2, 4)
        world.sync_killed(1, 537, True)
        world.copy_here(1, 6, 4)
        world.remove_folder_there(1)
        world.come_to_rest()


@on(Profile.BARE)
def test_what_came_to_a_place_that_was_never_learned_and_went_with_its_folder_is_not_sent_again(world: World) -> None:
    with world:
        world.rebuild(4)
        world.append_here(0, 2, 0, 0)
        world.sync_killed(0, 259, False)
        world.rename_there(7, 3)
        world.move_here(0, 7, 6)
        world.come_to_rest()
        with world.server.client() as plain:
            assert [one.folder for one in world.everything(plain)] == ["Attic"]


@on(Profile.BARE)
def test_a_copy_of_ours_is_not_taken_for_the_original_that_somebody_moved(world: World) -> None:
    with world:
        world.rebuild(4)
        world.append_here(0, 2, 0, 0)
        world.sync_killed(0, 259, False)
        world.copy_here(0, 0, 1)
        world.remove_folder_there(0)
        world.move_here(0, 1, 0)
        world.come_to_rest()
        with world.server.client() as plain:
            assert sorted(one.folder for one in world.everything(plain)) == ["INBOX", "Trash"]


@on(Profile.FULL, Profile.NO_CONDSTORE)
def test_mail_for_a_folder_renamed_on_both_sides_and_deleted_there_comes_into_the_one_created_again(
    world: World,
) -> None:
    with world:
        world.rename_there(0, 4)
        world.rename_here(0, 3, 3)
        world.look(0)
        world.remove_folder_there(1)
        world.append_here(0, 6, 0, 3)
        world.come_to_rest()


@on(Profile.FULL, Profile.NO_QRESYNC)
def test_a_mark_that_others_made_too_on_what_they_moved_is_done(world: World) -> None:
    with world:
        for where, form, flag in ((0, 0, 0), (1, 1, 1), (0, 3, 3), (1, 1, 5)):
            world.append_there(where, form, flag)
        world.sync(1)
        world.sync(0)
        world.mark_here(1, 0, 2, True)
        world.move_here(0, 0, 1)
        world.mark_there(0, 2, True)
        world.come_to_rest()


@on(Profile.BARE)
def test_what_looks_for_its_place_is_not_another_one_of_the_same_message_id(world: World) -> None:
    with world:
        world.append_there(0, 0, 0)
        world.append_there(1, 1, 1)
        world.append_there(2, 2, 2)
        world.sync(1)
        world.append_here(0, 1, 2, 5)
        world.copy_here(1, 2, 1)
        world.sync(1)
        world.renumber(7)
        world.sync_killed(0, 1324, False)
        world.move_here(0, 6, 6)
        world.come_to_rest()


@on(Profile.NO_CONDSTORE)
def test_a_folder_deleted_here_is_deleted_by_the_name_that_it_has_by_then(world: World) -> None:
    with world:
        world.append_there(0, 0, 0)
        world.rename_here(1, 4, 2)
        world.create_here(0, 3)
        world.append_there(1, 0, 4)
        world.create_here(1, 0)
        world.append_there(4, 1, 5)
        world.append_here(1, 0, 1, 0)
        world.remove_folder_here(1, 6)
        world.sync(0)
        world.sync_cut(1, 1338, False, True)
        world.copy_there(1, 7)
        world.copy_there(5, 4)
        world.delete_here(1, 6, True)
        world.delete_there(2)
        world.append_here(1, 0, 1, 0)
        world.copy_there(4, 3)
        world.copy_here(0, 6, 0)
        world.sync(0)
        world.sync(1)
        world.move_here(1, 7, 7)
        world.come_to_rest()
        with world.server.client() as plain:
            assert "Work" in {one.folder for one in world.everything(plain)}, "another folder has that name now"
