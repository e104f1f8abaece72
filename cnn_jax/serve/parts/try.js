"use strict";
(() => {
  const root = document.getElementById("try");
  const at = (name) => document.getElementById(`try-${name}`);
  const most = Number(root.dataset.most);
  let running = null;

  const made = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };

  const say = (status, error) => {
    at("status").textContent = status;
    at("error").textContent = error;
  };

  const fail = (name, why) => {
    at("answer").hidden = true;
    // What is said of a file often begins with its name.
    say("", !name || why.startsWith(name) ? why : `${name}: ${why}`);
  };

  const row = (each, bars) => {
    const line = made("tr");
    const name = made("th", "", each.name);
    name.scope = "row";
    if (each.colour) {
      const swatch = made("span", "try-swatch");
      swatch.style.background = each.colour;
      name.prepend(swatch);
    }
    line.append(name, made("td", "try-number", each.text));
    if (bars) {
      const track = made("td", "try-track");
      if (each.share !== null) {
        const bar = made("div", "try-bar");
        bar.style.width = `${100 * each.share}%`;
        track.append(bar);
      }
      track.ariaHidden = "true";
      line.append(track);
    }
    line.append(...each.more.map((more) => made("td", "try-number", more)));
    return line;
  };

  const table = (each) => {
    const bars = each.rows.some((line) => line.share !== null);
    const [first, second, ...more] = each.columns;
    const head = made("tr");
    for (const name of [first, second, ...(bars ? [""] : []), ...more]) {
      const cell = made(name ? "th" : "td", "", name);
      if (name) cell.scope = "col";
      head.append(cell);
    }
    const found = made("table");
    const top = made("thead");
    const body = made("tbody");
    top.append(head);
    body.append(...each.rows.map((line) => row(line, bars)));
    found.append(made("caption", "", each.of), top, body);
    return found;
  };

  const figure = (each) => {
    const found = made("figure", each.width <= 420 ? "try-small" : "");
    const image = made("img");
    image.src = each.source;
    image.alt = each.title;
    image.width = each.width;
    image.height = each.height;
    found.append(image, made("figcaption", "", each.title));
    return found;
  };

  const words = (pairs) => {
    const found = made("p", "try-words");
    for (const [word, level] of pairs) {
      const span = made("span", "", word);
      // Orange and blue as in the pictures; so faint that words stay readable on any ground.
      const colour = level >= 0 ? "213, 94, 0" : "0, 114, 178";
      span.style.background = `rgba(${colour}, ${0.6 * Math.abs(level)})`;
      span.title = level.toFixed(2);
      found.append(span, " ");
    }
    return found;
  };

  const show = (answer) => {
    const parts = [];
    if (answer.pictures.length) {
      const pictures = made("div", "try-pictures");
      pictures.append(...answer.pictures.map(figure));
      parts.push(pictures);
    }
    if (answer.words.length) parts.push(words(answer.words));
    const tables = made("div", "try-tables");
    tables.append(...answer.tables.map(table));
    parts.unshift(tables);
    if (answer.notes.length) {
      const notes = made("ul", "try-notes");
      notes.append(...answer.notes.map((note) => made("li", "", note)));
      parts.push(notes);
    }
    const place = at("answer");
    place.replaceChildren(...parts);
    place.hidden = false;
    const first = answer.tables.length ? answer.tables[0].rows[0] : null;
    say(first ? `Told: ${first.name} ${first.text}`.trim() + "." : "Told.", "");
  };

  const ask = async (name, content, size) => {
    if (running) running.abort();
    running = null;
    if (size > most) {
      fail(name, `has ${size.toLocaleString("en")} bytes, more than the ` +
        `${most.toLocaleString("en")} that are read here`);
      return;
    }
    const mine = new AbortController();
    running = mine;
    say(name ? `${name} is being told …` : "It is being told …", "");
    try {
      const response = await fetch("/told", {
        method: "POST",
        headers: {
          "Content-Type": "application/octet-stream",
          "X-File-Name": encodeURIComponent(name),
        },
        body: content,
        signal: mine.signal,
      });
      const answer = await response.json();
      if (running !== mine) return;
      if (response.ok) show(answer);
      else fail(name, answer.error);
    } catch (error) {
      if (running !== mine) return;
      fail(name, `cannot be told: the server does not answer, or the file cannot be read (${error.message})`);
    } finally {
      if (running === mine) running = null;
    }
  };

  const form = at("form");
  if (form) {
    const tell = () => {
      const bytes = new TextEncoder().encode(at("text").value);
      ask("", bytes, bytes.length);
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      tell();
    });
    at("text").addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        tell();
      }
    });
    return;
  }

  const drop = at("drop");
  const choose = at("file");
  choose.addEventListener("change", () => {
    const [file] = choose.files;
    if (file) ask(file.name, file, file.size);
    choose.value = "";  // so that the same file can be chosen again
  });
  // Beside the field a browser would leave the page for the file.
  for (const kind of ["dragenter", "dragover"]) {
    window.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  window.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) drop.classList.remove("over");
  });
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const files = event.dataTransfer.files;
    if (!files.length) {
      fail("", "What was dropped is no file.");
      return;
    }
    ask(files[0].name, files[0], files[0].size).then(() => {
      if (files.length > 1) at("status").textContent += ` It is the first of ${files.length} files.`;
    });
  });
})();
