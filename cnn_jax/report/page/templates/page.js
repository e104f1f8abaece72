"use strict";
(() => {
  const reads = (element, name) => JSON.parse(element.dataset[name] || "[]");

  // Charts: their specifications stand beside them.
  for (const source of document.querySelectorAll("script[data-chart]")) {
    const place = document.getElementById(source.dataset.chart);
    window
      .drawChart(place, JSON.parse(source.textContent), {
        actions: false,
        renderer: "svg",
        ast: true, // no eval, which the page forbids itself
        tooltip: { theme: "report" },
      })
      .then(() => place.classList.add("drawn"))
      .catch((error) => {
        place.textContent = place.getAttribute("aria-label");
        console.error(error);
      });
  }

  // Tables: a click on the head of a column sorts by it, another the other way round.
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => {
        const first = column === 0 ? "ascending" : "descending";
        const other = first === "ascending" ? "descending" : "ascending";
        const order = head.getAttribute("aria-sort") === first ? other : first;
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", order);
        const sign = order === "ascending" ? 1 : -1;
        const rows = [...table.tBodies[0].rows];
        const key = (row) => row.cells[column].dataset.key;
        const numbers = rows.every((row) => !Number.isNaN(Number(key(row).replace("inf", "Infinity"))));
        const value = (row) => Number(key(row).replace("inf", "Infinity"));
        rows.sort((a, b) => sign * (numbers ? compared(value(a), value(b)) : key(a).localeCompare(key(b))));
        table.tBodies[0].append(...rows);
      });
    });
  }

  function compared(a, b) {
    return a === b ? 0 : a < b ? -1 : 1;
  }

  // Mistakes: only those of one true class, one told class, or both.
  const form = document.querySelector("form.filter");
  const gallery = document.getElementById("gallery");
  if (form && gallery) {
    const cells = [...gallery.querySelectorAll("figure")];
    const none = gallery.nextElementSibling;
    const show = () => {
      const wanted = { true: form.elements.true.value, told: form.elements.told.value };
      let count = 0;
      for (const cell of cells) {
        const fits = ["true", "told"].every((side) => !wanted[side] || reads(cell, side).includes(wanted[side]));
        cell.hidden = !fits;
        count += fits;
      }
      form.querySelector("output").textContent = `${count} shown`;
      none.hidden = count > 0;
    };
    form.addEventListener("change", show);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(show));
    for (const button of document.querySelectorAll("table.matrix button")) {
      button.addEventListener("click", () => {
        choose(form.elements.true, button.dataset.true);
        choose(form.elements.told, button.dataset.told);
        show();
        const head = document.getElementById("gallery-head");
        head.tabIndex = -1;
        head.focus();
      });
    }
  }

  function choose(select, value) {
    // A pair of which nothing is shown is no choice of the list.
    if (![...select.options].some((option) => option.value === value)) {
      select.add(new Option(`${value} (0)`, value));
    }
    select.value = value;
  }
})();
