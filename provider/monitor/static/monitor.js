// Live updates, and nothing else: every page and every form works without this file.
// The server sends a part of the page when it changed; what is here is made the same, node by node, so that a button
// that is about to be pressed, the focus and what somebody types stay where they are.
"use strict";

(() => {
  const keep = new Set(["open"]);

  const alike = (a, b) =>
    a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || "") === (b.id || "");

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

  function children(now, then) {
    const wanted = [...then.childNodes];
    const have = [...now.childNodes];
    wanted.forEach((node, at) => {
      if (at >= have.length) now.append(node);
      else if (alike(have[at], node)) become(have[at], node);
      else have[at].replaceWith(node);
    });
    have.slice(wanted.length).forEach((node) => node.remove());
  }

  const where = document.body.dataset.live;
  if (!where || !window.EventSource) return;
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
