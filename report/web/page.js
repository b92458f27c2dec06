(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("js");

  // The theme: the system's, or the reader's own choice.
  const themes = { auto: "(prefers-color-scheme: dark)", light: "not all", dark: "all" };
  let theme = "auto";
  try { theme = localStorage.getItem("theme") || theme; } catch { /* forbidden: it will not be remembered */ }
  const paint = () => {
    document.getElementById("dark").media = themes[theme] || themes.auto;
    root.style.colorScheme = theme === "auto" ? "" : theme;
    for (const button of document.querySelectorAll(".theme")) button.textContent = button.dataset[theme];
  };
  paint();

  const choose = () => {
    theme = { auto: "light", light: "dark" }[theme] || "auto";
    try { localStorage.setItem("theme", theme); } catch { /* as above */ }
    paint();
  };

  // Over plain HTTP, browsers lend the clipboard to a selection only.
  const copy = async (button) => {
    const code = button.previousElementSibling, notice = document.getElementById("notice");
    let done = false;
    try {
      await navigator.clipboard.writeText(code.textContent);
      done = true;
    } catch {
      getSelection().selectAllChildren(code);
      done = document.execCommand("copy");
    }
    const before = button.dataset.before ||= button.textContent;
    notice.textContent = button.textContent = done ? button.dataset.copied : button.dataset.not;
    setTimeout(() => { notice.textContent = ""; button.textContent = before; }, 2000);
  };

  // A refresh replaces only what has changed. Selection and focus remain.
  const focusables = "a[href], button, input, summary, [tabindex]";
  const swap = (old, fresh) => {
    const at = [...old.querySelectorAll(focusables)].indexOf(document.activeElement);
    old.replaceWith(fresh);
    if (at >= 0) fresh.querySelectorAll(focusables)[at]?.focus({ preventScroll: true });
  };
  const update = (page) => {
    const ids = (d) => [...d.querySelectorAll("[data-live]")].map((e) => e.id);
    document.title = page.title;
    document.body.className = page.body.className;
    for (const one of ["link[rel=icon]"]) document.querySelector(one).href = page.querySelector(one).href;
    if (ids(document).join() !== ids(page).join()) {
      swap(document.querySelector(".columns"), page.querySelector(".columns"));
      return;
    }
    for (const id of ids(document)) {
      const old = document.getElementById(id), fresh = page.getElementById(id), folds = old.querySelectorAll("details");
      fresh.querySelectorAll("details").forEach((fold, i) => { if (folds[i]) fold.open = folds[i].open; });
      if (old.innerHTML !== fresh.innerHTML || old.className !== fresh.className) swap(old, fresh);
    }
  };
  const busy = () => !getSelection().isCollapsed || document.querySelector("#notice").textContent || document.activeElement?.matches("input");
  const again = async (seconds) => {
    const stale = document.getElementById("stale");
    if (!document.hidden && !busy()) {
      try {
        const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(1000 * seconds) });
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        if (!page.getElementById("findings")) throw new Error(answer.statusText);
        update(page);
        stale.hidden = true;
      } catch {
        if (stale.hidden) stale.textContent = stale.dataset.words.replace("%s", new Date().toLocaleTimeString());
        stale.hidden = false;
      }
    }
    setTimeout(again, 1000 * seconds, seconds);
  };

  document.addEventListener("DOMContentLoaded", () => {
    paint();
    document.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button?.matches(".copy")) copy(button);
      if (button?.matches(".theme")) choose();
    });
    const seconds = Number(document.body.dataset.refresh);
    if (seconds) setTimeout(again, 1000 * seconds, seconds);
  });
})();
