"""The people, subjects and sentences of the demo's mail: our own words, in ten charsets.

Data only. Each tongue names the charset that its mail is written in; every word of it can be encoded there.
"""

from dataclasses import dataclass

__all__ = ["FOLDERS", "TONGUES", "Tongue"]

FOLDERS = ("INBOX", "Archive", "Drafts", "Lists/harbour", "Lists/python", "Projects/Bridge", "Sent", "Trash")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tongue:
    """How some of the correspondents write."""

    charset: str
    people: tuple[tuple[str, str], ...]
    """Display name and address."""
    subjects: tuple[str, ...]
    sentences: tuple[str, ...]


TONGUES = (
    Tongue(
        charset="us-ascii",
        people=(
            ("Ada Winter", "ada@harbour.example"),
            ("Tom Baker", "tom.baker@example.org"),
            ("Release Robot", "robot@ci.example.net"),
            ("Grace H.", "grace@example.com"),
        ),
        subjects=(
            "Minutes of Tuesday",
            "Build 4711 is green again",
            "Tide tables for the spring",
            "Question about the budget",
            "Who has the key of the boathouse?",
            "Draft of the bridge report",
            "Your order has left our house",
            "Parser drops the last line",
        ),
        sentences=(
            "I put the numbers into the sheet; please look at column four.",
            "The ferry leaves at seven, so let us meet at half past six.",
            "Nothing of this is urgent, but it should be done before the summer.",
            "The test fails on one machine only, and only on Mondays.",
            "Could you send me the drawing with the measures in it?",
            "We tried both ways, and the second one is shorter by a mile.",
        ),
    ),
    Tongue(
        charset="iso-8859-1",
        people=(("Jörg Müßig", "joerg@brücke.example"), ("Käthe Groß", "kaethe@example.org")),
        subjects=("Grüße aus Köln", "Prüfung der Brücke verschoben", "Schlüssel für das Bootshaus"),
        sentences=(
            "Die Prüfung wird auf nächsten Donnerstag verschoben.",
            "Könntest du die Maße noch einmal überprüfen?",
            "Schöne Grüße an alle, und bis übermorgen.",
        ),
    ),
    Tongue(
        charset="windows-1252",
        people=(("Aurélie Lefèvre", "aurelie@example.org"),),
        subjects=("Réunion de l’équipe à 14 h", "Devis : 1 200 €"),
        sentences=("Voici le devis, à valider avant vendredi.", "L’hôtel est réservé ; le reste suivra…"),
    ),
    Tongue(
        charset="utf-8",
        people=(("Zoë 🚲 Okafor", "zoe@example.org"), ("שרה לוי", "sarah@example.org")),
        subjects=("Saturday ride 🚲 – who is in?", "תזכורת: פגישה מחר", "Fotos 📷 vom Hafen"),
        sentences=(
            "Bring lights, it gets dark early 🌒.",
            "נתראה מחר בתשע.",
            "The photos are in the shared folder ✨.",
        ),
    ),
    Tongue(
        charset="koi8-r",
        people=(("Иван Петров", "ivan@example.org"),),
        subjects=("Отчёт за ноябрь", "Чертежи моста"),
        sentences=("Отчёт готов, посмотрите, пожалуйста.", "Чертежи пришлю завтра утром."),
    ),
    Tongue(
        charset="iso-2022-jp",
        people=(("田中 花子", "hanako@example.org"),),
        subjects=("会議の資料", "明日の天気"),
        sentences=("資料を送ります。", "明日は雨だそうです。"),
    ),
    Tongue(
        charset="gb18030",
        people=(("李雷", "lilei@example.org"),),
        subjects=("项目进度", "港口的照片"),
        sentences=("项目进展顺利。", "请看附件里的照片。"),
    ),
    Tongue(
        charset="iso-8859-2",
        people=(("Łukasz Żak", "lukasz@example.org"),),
        subjects=("Zaległe faktury", "Łódź w sobotę"),
        sentences=("Faktury wysłałem wczoraj.", "Spotkajmy się na przystani o dziewiątej."),
    ),
    Tongue(
        charset="iso-8859-7",
        people=(("Ελένη Παππά", "eleni@example.org"),),
        subjects=("Δρομολόγια του πλοίου",),
        sentences=("Το πλοίο φεύγει στις επτά το πρωί.",),
    ),
    Tongue(
        charset="euc-kr",
        people=(("김민수", "minsu@example.org"),),
        subjects=("회의 일정",),
        sentences=("회의는 금요일 오후 세 시입니다.",),
    ),
)
