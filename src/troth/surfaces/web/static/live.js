"use strict";
/* Forms and boxes that answer without a reload; every one of them works without this file too.
   <form data-live="id">  sends itself on change and puts the answer's #id in place of the page's.
   <div id="x" data-poll="2"> is fetched again every 2 seconds until the answer has no data-poll.
   <div data-drop="input-id"> takes a dropped file into a file input. */
(() => {
  const put = (html, id) => {
    const next = new DOMParser().parseFromString(html, "text/html").getElementById(id);
    const old = document.getElementById(id);
    if (!next || !old) return;
    const held = old.contains(document.activeElement) ? document.activeElement : null;
    if (!old.isEqualNode(next)) old.replaceWith(document.adoptNode(next));
    const box = document.getElementById(id);
    if (held && !held.isConnected) [...box.querySelectorAll(held.tagName)]
      .find((e) => e.textContent === held.textContent && e.id === held.id)?.focus();
    watch(box);
  };
  const ask = async (url, options, id) => {
    try {
      const answer = await fetch(url, { ...options, headers: { "x-live": id } });
      if (answer.ok) put(await answer.text(), id);
    } catch { /* offline: the page stays as it is, its button still works */ }
  };
  document.querySelector(".side [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  const watch = (box) => {
    const seconds = Number(box.dataset.poll);
    if (seconds) setTimeout(() => ask(location.href, {}, box.id), seconds * 1000);
  };
  document.querySelectorAll("[data-poll]").forEach(watch);
  document.querySelectorAll("form[data-live]").forEach((form) => {
    let timer;
    form.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        const data = new URLSearchParams(new FormData(form));
        const get = form.method === "get";
        const url = form.dataset.url || form.action;
        ask(get ? `${url}?${data}` : url, get ? {} : { method: "POST", body: data }, form.dataset.live);
      }, 250);
    });
  });
  document.querySelectorAll("[data-drop]").forEach((box) => {
    const input = document.getElementById(box.dataset.drop);
    for (const kind of ["dragover", "dragleave", "drop"]) {
      box.addEventListener(kind, (event) => {
        event.preventDefault();
        box.classList.toggle("over", kind === "dragover");
        if (kind === "drop" && event.dataTransfer.files.length) {
          input.files = event.dataTransfer.files;
          input.dispatchEvent(new Event("change", { bubbles: true }));
        }
      });
    }
  });
})();
