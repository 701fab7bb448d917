"""What a folder is for, told by its name: for servers that do not say it themselves (RFC 6154).

Room: sources/imap. Pure; our own list of the names that mail programs and services give in many languages. Used only
for roles that no attribute claims, and only for folders at the top of a person's own mail.
"""

from collections.abc import Iterable

from store.mail import Role

__all__ = ["role_of_attributes", "role_of_name"]

_BY_ATTRIBUTE = {
    "\\all": Role.ALL,
    "\\allmail": Role.ALL,  # XLIST, which Gmail spoke before RFC 6154
    "\\archive": Role.ARCHIVE,
    "\\drafts": Role.DRAFTS,
    "\\flagged": Role.FLAGGED,
    "\\starred": Role.FLAGGED,
    "\\important": Role.IMPORTANT,
    "\\junk": Role.JUNK,
    "\\spam": Role.JUNK,
    "\\sent": Role.SENT,
    "\\trash": Role.TRASH,
}

_NAMES = {
    Role.DRAFTS: """
        drafts draft entwürfe entwurf brouillons brouillon borradores borrador bozze bozza rascunhos rascunho
        concepten utkast kladder luonnokset szkice kopie|robocze wersje|robocze koncepty rozepsané rozpísané
        piszkozatok piszkozat ciorne osnutki skice черновики чернетки чернови πρόχειρα taslaklar תבניות טיוטות
        المسودات مسودات 下書き 草稿 草稿箱 草稿匣 임시보관함 임시|보관함 แบบร่าง bản|nháp thư|nháp draf
    """,
    Role.SENT: """
        sent sent|items sent|messages sent|mail gesendet gesendete|objekte gesendete|elemente
        gesendete|nachrichten postausgang|gesendet envoyés éléments|envoyés messages|envoyés objets|envoyés
        enviados elementos|enviados mensajes|enviados correo|enviado inviata posta|inviata
        posta|in|uscita|inviata elementi|inviati messaggi|inviati itens|enviados mensagens|enviadas verzonden
        verzonden|items verzonden|berichten skickat skickade|objekt sendt sendte|elementer lähetetyt
        lähetetyt|viestit wysłane elementy|wysłane odeslané odeslaná|pošta odoslané odoslaná|pošta elküldött
        elküldött|elemek trimise elemente|trimise poslano poslane|stavke отправленные надіслані изпратени
        απεσταλμένα gönderilmiş|öğeler gönderilenler gönderilmiş|postalar דואר|שנשלח נשלחו المرسلة البريد|المرسل
        送信済み 送信済みメール 送信済みアイテム 已发送 已发送邮件 寄件備份 已傳送的郵件 보낸편지함 보낸|편지함
        đã|gửi thư|đã|gửi terkirim รายการที่ส่ง
    """,
    Role.TRASH: """
        trash deleted deleted|items deleted|messages bin papierkorb gelöscht gelöschte|objekte
        gelöschte|elemente gelöschte|nachrichten corbeille éléments|supprimés messages|supprimés papelera
        elementos|eliminados eliminados cestino posta|eliminata elementi|eliminati lixeira itens|excluídos
        itens|eliminados prullenbak prullenmand verwijderde|items papperskorg papperskorgen borttagna|objekt
        papirkurv slettede|elementer søppel roskakori poistetut kosz elementy|usunięte koš odstraněná|pošta kôš
        lomtár kuka törölt|elemek coș|de|gunoi elemente|șterse koš|za|smeti smeće корзина удаленные удалённые
        кошик видалені кошче κάδος|απορριμμάτων διαγραμμένα çöp çöp|kutusu silinmiş|öğeler אשפה פריטים|שנמחקו
        المهملات سلة|المهملات ごみ箱 ゴミ箱 削除済みアイテム 已删除 已删除邮件 垃圾桶 刪除的郵件 휴지통
        지운|편지함 thùng|rác sampah ถังขยะ
    """,
    Role.JUNK: """
        junk spam junk|e-mail junk|email junk|mail bulk|mail unerwünscht spamverdacht junk-e-mail
        courrier|indésirable indésirables pourriel correo|no|deseado no|deseado posta|indesiderata indesiderata
        lixo|eletrônico lixo|eletrónico ongewenst ongewenste|e-mail ongewenste|reclame skräppost uønsket|e-post
        uønsket|mail søppelpost roskaposti wiadomości-śmieci niechciane nevyžádaná|pošta nevyžiadaná|pošta
        levélszemét spamy vsiljena|pošta neželjena|pošta спам нежелательная|почта небажана|пошта ανεπιθύμητα
        ανεπιθύμητη|αλληλογραφία önemsiz önemsiz|e-posta gereksiz דואר|זבל البريد|العشوائي 迷惑メール 垃圾邮件
        垃圾郵件 스팸편지함 스팸|메일함 thư|rác อีเมลขยะ
    """,
    Role.ARCHIVE: """
        archive archives archiv archivos archivo archivio archivados arquivo arquivos archief arkiv arkisto
        archiwum archív archívum arhiva arhiv архив архів αρχείο arşiv ארכיון الأرشيف アーカイブ 归档 存档 封存
        보관함 보관|메일 lưu|trữ arsip
    """,
}

_ROLE_BY_NAME = {name.replace("|", " "): role for role, names in _NAMES.items() for name in names.split()}


def role_of_attributes(attributes: Iterable[str]) -> Role | None:
    """Return the role that one of the lower-case *attributes* claims, or None.

    >>> role_of_attributes({"\\\\hasnochildren", "\\\\sent"})
    <Role.SENT: 'sent'>
    """
    return next((_BY_ATTRIBUTE[name] for name in sorted(attributes) if name in _BY_ATTRIBUTE), None)


def role_of_name(name: str) -> Role | None:
    """Return the role that a folder's own name suggests, or None.

    >>> role_of_name("Gesendete Elemente"), role_of_name("Receipts")
    (<Role.SENT: 'sent'>, None)
    """
    return _ROLE_BY_NAME.get(name.strip().lower())
