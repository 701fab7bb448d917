"""Octets to text: the charset ladder, encoded words, and the last look before text leaves this room.

Room: store.mime. Pure. Rules: any octets in, text out, never an error; every text can be encoded as UTF-8 (no lone
surrogates leave); work is linear in the input. RFC 2047, RFC 2231 §5, RFC 2978.
"""

import binascii
import re

__all__ = ["clean_line", "decode_text", "decode_unlabelled", "decode_words"]

# Only codecs of this table are ever asked: a charset name is hostile, and Python's registry also holds compressors,
# escapes ("unicode_escape") and quadratic ones ("idna", "punycode"). Where a label is used in practice for a wider
# set (WHATWG Encoding, "Names and labels"), the wider one decodes it.
_CODECS = {
    "ascii": "",
    "us-ascii": "",
    "ansi_x3.4-1968": "",
    "646": "",
    "unknown-8bit": "",
    "x-unknown": "",
    "default": "",
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "utf-7": "utf-7",
    "unicode-1-1-utf-7": "utf-7",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "utf-32": "utf-32",
    "utf-32le": "utf-32-le",
    "utf-32be": "utf-32-be",
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "iso_8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "l1": "cp1252",
    "iso-8859-9": "cp1254",
    "iso8859-9": "cp1254",
    "latin5": "cp1254",
    "tis-620": "cp874",
    "iso-8859-11": "cp874",
    "windows-874": "cp874",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "iso-8859-6-i": "iso8859-6",
    "koi8-r": "koi8-r",
    "koi8": "koi8-r",
    "koi8-u": "koi8-u",
    "koi8-t": "koi8-t",
    "macintosh": "mac-roman",
    "mac": "mac-roman",
    "x-mac-roman": "mac-roman",
    "x-mac-cyrillic": "mac-cyrillic",
    "x-mac-ce": "mac-latin2",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "cp936": "gb18030",
    "windows-936": "gb18030",
    "gb18030": "gb18030",
    "gb_2312-80": "gb18030",
    "hz-gb-2312": "hz",
    "big5": "big5hkscs",
    "big5-hkscs": "big5hkscs",
    "cp950": "cp950",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "ms_kanji": "cp932",
    "windows-31j": "cp932",
    "cp932": "cp932",
    "euc-jp": "euc_jp",
    "x-euc-jp": "euc_jp",
    "iso-2022-jp": "iso2022_jp_ext",
    "iso-2022-jp-1": "iso2022_jp_1",
    "iso-2022-jp-2": "iso2022_jp_2",
    "iso-2022-jp-3": "iso2022_jp_3",
    "iso-2022-jp-2004": "iso2022_jp_2004",
    "iso-2022-kr": "iso2022_kr",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "ks_c_5601": "cp949",
    "cp949": "cp949",
    "windows-949": "cp949",
    "uhc": "cp949",
    "johab": "johab",
}
_CODECS |= {f"iso-8859-{n}": f"iso8859-{n}" for n in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)}
_CODECS |= {f"iso8859-{n}": f"iso8859-{n}" for n in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)}
_CODECS |= {f"latin{n}": f"iso8859-{n}" for n in (2, 3, 4)}
_CODECS |= {f"{name}{n}": f"cp{n}" for n in range(1250, 1259) for name in ("windows-", "cp", "cp-", "x-cp")}
_CODECS |= {
    f"{name}{n}": f"cp{n}" for n in (437, 737, 775, 850, 852, 855, 857, 858, 862, 866) for name in ("cp", "ibm")
}

# C0, DEL, C1 and Unicode's own line ends: a decoded word may hold CR LF, NUL or escapes for a terminal.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_WORD = re.compile(r"=\?([^?\s*]{1,60})(?:\*[^?\s]{0,40})?\?([bBqQ])\?")
_BASE64_JUNK = re.compile(rb"[^A-Za-z0-9+/]")


def decode_unlabelled(octets: bytes) -> str:
    """Return octets of an unknown charset as text: UTF-8 where they are valid UTF-8, else Windows-1252.

    >>> decode_unlabelled("ä".encode()), decode_unlabelled(b"\\xe4")
    ('ä', 'ä')
    """
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("cp1252", "replace")


def decode_text(octets: bytes, charset: str = "") -> str:
    """Return *octets* by the ladder: declared charset, UTF-8, Windows-1252.

    A declared charset that is known decodes even octets that it does not allow (as U+FFFD), unless they are valid
    UTF-8; an unknown one counts as not declared.
    """
    codec = _CODECS.get(charset.strip(" \t'\"").lower(), "")
    if not codec:
        return decode_unlabelled(octets)
    try:
        text = octets.decode(codec)
    except UnicodeError:
        try:
            return octets.decode()
        except UnicodeDecodeError:
            text = octets.decode("cp1252" if codec == "utf-8" else codec, "replace")
    # UTF-7 and UTF-16 spell lone surrogates, which no database and no terminal takes.
    return _SURROGATE.sub("�", text)


def decode_words(text: str) -> str:
    """Return *text* with its encoded words decoded (RFC 2047); what is not one stays as written.

    White space between two encoded words is dropped (§6.2); neighbours of one charset are decoded together, because
    careless senders cut characters in half.

    >>> decode_words("=?utf-8?q?Gr=C3=BC=C3=9Fe?= aus =?utf-8?b?S8O2bG4=?=")
    'Grüße aus Köln'
    """
    if "=?" not in text:
        return text
    out: list[str] = []
    run, run_charset = b"", ""
    at = 0  # how far *text* is dealt with
    look = 0
    while (word := _WORD.search(text, look)) is not None:
        end = text.find("?=", word.end())
        if end < 0:
            break  # nothing after this can end either
        octets = _unword(text[word.end() : end], word[2])
        if octets is None:
            look = word.end()
            continue
        between = text[at : word.start()]
        charset = word[1].lower()
        if run_charset and not between.strip(" \t\r\n"):
            between = ""
        if run_charset and (between or charset != run_charset):
            out.append(decode_text(run, run_charset))
            run = b""
        out.append(between)
        run += octets
        run_charset = charset
        at = look = end + 2
    if run_charset:
        out.append(decode_text(run, run_charset))
    out.append(text[at:])
    return "".join(out)


def _unword(encoded: str, encoding: str) -> bytes | None:
    """Return the octets of one encoded word, or None when it is not one."""
    if not encoded.isascii():
        return None
    octets = encoded.encode()
    if encoding in "qQ":
        return binascii.a2b_qp(octets, header=True)
    letters = _BASE64_JUNK.sub(b"", octets)
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


def clean_line(text: str) -> str:
    """Return *text* as one line: control characters and runs of white space become one space each.

    >>> clean_line(" a\\r\\n\\tb\\x00c ")
    'a b c'
    """
    if not text.isprintable():
        text = _CONTROL.sub(" ", text)
    return " ".join(text.split()) if "  " in text or text[:1].isspace() or text[-1:].isspace() else text
