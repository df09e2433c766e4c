"use strict";
(() => {
  const list = document.getElementById("list"), controls = document.getElementById("controls");
  if (!list || !controls) return;
  const items = [...list.children], filters = [...controls.querySelectorAll("[data-filter]")];
  const search = document.getElementById("search"), sort = document.getElementById("sort");
  const count = document.getElementById("count"), open = document.getElementById("open");
  const texts = new Map(items.map((item) => [item, item.firstElementChild.textContent.toLowerCase()]));
  controls.hidden = false;
  const shown = (item, words) => filters.every(({ value, dataset }) =>
    !value || (item.dataset[dataset.filter] || "").split(" ").includes(value)) &&
    words.every((word) => texts.get(item).includes(word));
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let number = 0;
    for (const item of items) {
      item.hidden = !shown(item, words);
      number += item.hidden ? 0 : 1;
    }
    count.textContent = `${number} of ${items.length} shown`;
  };
  const order = () => {
    const key = sort.value, value = (item) => item.dataset[key] || "";
    const sorted = items.map((item, place) => [item, place]);
    const compare = (a, b) => key === "stall" ? b - a : key === "rank" || a === b ? 0 : a < b ? -1 : 1;
    sorted.sort(([a, i], [b, j]) => compare(value(a), value(b)) || i - j);
    list.replaceChildren(...sorted.map(([item]) => item));
  };
  const reveal = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const entry = target && target.closest("details");
    if (!entry) return;
    entry.hidden = false;
    entry.open = true;
    target.scrollIntoView();
  };
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.addEventListener("input", filter);
  sort.addEventListener("change", order);
  open.addEventListener("click", () => {
    const opening = items.some((item) => !item.hidden && !item.open);
    for (const item of items) if (!item.hidden) item.open = opening;
    open.textContent = opening ? "Close all" : "Open all";
  });
  window.addEventListener("hashchange", reveal);
  filter();
  reveal();
})();
