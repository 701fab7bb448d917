// Live updates, and nothing else: every page and every form works without this file.
// The server sends a part of the page when it changed; what is here is made the same, node by node, so that a button
// that is about to be pressed, the focus and what somebody types stay where they are.
"use strict";

(() => {
  const keep = new Set(["open"]);

  // Not `node.id`: in a form that has a field of this name, that is the field.
  const idOf = (node) => (node.nodeType === Node.ELEMENT_NODE && node.getAttribute("id")) || "";
  const alike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && idOf(a) === idOf(b);

  function become(now, then) {
    if (now.nodeType !== Node.ELEMENT_NODE) {
      if (now.nodeValue !== then.nodeValue) now.nodeValue = then.nodeValue;
      return;
    }
    for (const { name } of [...now.attributes])
      if (!then.hasAttribute(name) && !keep.has(name)) now.removeAttribute(name);
    for (const { name, value } of [...then.attributes])
      if (now.getAttribute(name) !== value) now.setAttribute(name, value);
    children(now, then);
  }

  // What has an id is the same thing wherever it comes to stand: a box that is ticked stays with its row.
  function children(now, then) {
    const known = new Map([...now.children].filter(idOf).map((one) => [idOf(one), one]));
    let at = now.firstChild;
    for (const node of [...then.childNodes]) {
      const same = known.get(idOf(node));
      if (same && same.nodeName === node.nodeName) {
        if (same === at) at = at.nextSibling;
        else now.insertBefore(same, at);
        become(same, node);
      } else if (at && alike(at, node)) {
        const next = at.nextSibling;
        become(at, node);
        at = next;
      } else now.insertBefore(node, at);
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  }

  const where = document.body.dataset.live;
  if (!where || !window.EventSource) return;
  addEventListener("keydown", (event) => {
    const all = event.key === "F9" && !event.repeat && document.getElementById("sync-f9");
    if (!all) return;
    event.preventDefault();
    all.click();
  });
  const line = document.getElementById("line");
  const source = new EventSource(where);
  source.addEventListener("part", (event) => {
    const { id, html } = JSON.parse(event.data);
    const part = document.getElementById(id);
    if (!part) return;
    // Parsed apart from the page: nothing in it runs or loads, and the policy of the page holds for what is taken over.
    const parsed = new DOMParser().parseFromString(`<body>${html}</body>`, "text/html");
    children(part, document.adoptNode(parsed.body));
  });
  source.addEventListener("open", () => { line.hidden = true; });
  source.addEventListener("error", () => { line.hidden = false; });
  addEventListener("pagehide", () => source.close());
})();
