// What is broken in the layout of this page, for people; an empty list when
// nothing is. Width is the viewport's.
(width) => {
  const problems = new Set(), slack = 1.5;
  const name = (e) => `${e.tagName.toLowerCase()}${e.className ? "." + String(e.className).replaceAll(" ", ".") : ""} "${e.textContent.trim().slice(0, 40)}"`;
  const unseen = (e) => !e.checkVisibility({ visibilityProperty: true }) || e.closest(".skip, #notice");
  const scrolls = (e, axis) => ["auto", "scroll"].includes(getComputedStyle(e)["overflow" + axis]);
  const clips = (e, axis) => ["hidden", "clip"].includes(getComputedStyle(e)["overflow" + axis]);

  if (document.documentElement.scrollWidth > width) problems.add(`the page is ${document.documentElement.scrollWidth} px wide on a screen of ${width}`);

  const lines = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    const e = node.parentElement;
    if (!node.data.trim() || ["STYLE", "SCRIPT", "NOSCRIPT", "TITLE"].includes(e.tagName) || unseen(e)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const around = [];
    for (let a = e; a && a !== document.body; a = a.parentElement) around.push(a);
    const scroller = around.find((a) => scrolls(a, "X") && a.scrollWidth > a.clientWidth);
    for (const r of range.getClientRects()) {
      if (r.width < 1 || r.height < 1) continue;
      if (!scroller && (r.left < -slack || r.right > width + slack)) problems.add(`sticks out of the screen: ${name(e)}`);
      for (const a of around) {
        const box = a.getBoundingClientRect();
        if (clips(a, "X") && (r.left < box.left - slack || r.right > box.right + slack)) problems.add(`is cut off: ${name(e)} by ${name(a)}`);
        if (clips(a, "Y") && (r.top < box.top - slack || r.bottom > box.bottom + slack)) problems.add(`is cut off: ${name(e)} by ${name(a)}`);
      }
      const box = e.closest("button, th, td, dd, dt, p, li")?.getBoundingClientRect();
      if (!scroller && box && (r.left < box.left - slack || r.right > box.right + slack)) problems.add(`sticks out of its box: ${name(e)}`);
      // A font's box is higher than its letters.
      if (!scroller) lines.push({ node, e, left: r.left + slack, right: r.right - slack, top: r.top + r.height / 4, bottom: r.bottom - r.height / 4 });
    }
  }
  for (let i = 0; i < lines.length; i++) {
    for (let j = i + 1; j < lines.length; j++) {
      const a = lines[i], b = lines[j];
      if (a.node !== b.node && a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom) problems.add(`overlap: ${name(a.e)} and ${name(b.e)}`);
    }
  }
  for (const e of document.querySelectorAll("button, a[href], summary")) {
    const r = e.getBoundingClientRect();
    if (!unseen(e) && r.height > 0 && r.height < 16) problems.add(`is too small for a finger: ${name(e)}`);
  }
  return [...problems];
}
