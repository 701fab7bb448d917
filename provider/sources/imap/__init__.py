"""SPEAK IMAP4rev1 (RFC 3501) and its extensions: the only room that imports imapclient and imaplib.

``connect`` opens the door (address, TLS, login) with IMAPClient; ``channel`` is the stream that both sides of the door
share; from then on ``wire`` owns every command and every reply.
"""
