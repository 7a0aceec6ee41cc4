"use strict";

const figures = JSON.parse(document.getElementById("data").textContent);
const soundType = document.getElementById("audio").textContent === "ogg" ? "audio/ogg" : "audio/flac";
const body = document.querySelector("#clips tbody");
const rows = body ? [...body.querySelectorAll("tr.clip")] : [];
const MARGIN = 0.1, SHORTEST = 0.8; // s around a region that is played, and at least played

// Files inside the page: base64 in script elements, decoded when a clip is opened.

function fileUrl(name, type) {
  const element = document.getElementById(name);
  if (!element) return null;
  const text = atob(element.textContent);
  const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type }));
}

// One clip: a player, its pictures, and a cursor that follows the sound.

function clock(seconds) {
  const minutes = Math.floor(seconds / 60);
  const rest = (seconds - 60 * minutes).toFixed(seconds < 60 ? 1 : 0);
  return minutes ? `${minutes}:${rest.padStart(2, "0")}` : `${rest} s`;
}

function makeFigure(number, what) {
  const about = figures[number];
  const root = document.getElementById("figure").content.firstElementChild.cloneNode(true);
  const audio = root.querySelector("audio");
  const player = { root, about, audio, number, urls: [], stop: null, boxes: [] };
  root.querySelector(".what").textContent = what;
  root.querySelector(".name").textContent = about.name;
  audio.src = kept(player, fileUrl(`sound-${number}`, soundType));
  audio.setAttribute("aria-label", `${what}: ${about.name}`);
  fillPictures(player);
  root.querySelector(".remarks").textContent = remarks(about);
  const follow = () => { moveCursor(player); if (!audio.paused) requestAnimationFrame(follow); };
  audio.addEventListener("play", () => { pauseOthers(audio); requestAnimationFrame(follow); });
  audio.addEventListener("timeupdate", () => moveCursor(player));
  audio.addEventListener("pause", () => { player.stop = null; });
  return player;
}

function kept(player, url) {
  player.urls.push(url);
  return url;
}

function fillPictures(player) {
  const { root, about, number } = player;
  for (const [place, name] of [[".spectrogram", "spectrogram"], [".map .plot", "map"]]) {
    const plot = root.querySelector(place);
    const url = fileUrl(`${name}-${number}`, "image/png");
    if (url === null) {
      root.querySelectorAll(".map").forEach((element) => element.remove());
      continue;
    }
    plot.querySelector("img").src = kept(player, url);
    plot.addEventListener("click", (event) => {
      if (event.target.closest(".box")) return;
      const box = plot.getBoundingClientRect();
      playFrom(player, ((event.clientX - box.left) / box.width) * about.seconds, null);
    });
    about.regions.forEach((region, position) => plot.append(regionBox(player, region, position)));
  }
  root.querySelectorAll(".ticks").forEach((ticks) => {
    for (const [height, label] of about.ticks) ticks.append(placed(label, "bottom", height));
  });
  const times = root.querySelector(".times");
  for (let part = 0; part <= 4; part++) {
    times.append(placed(clock(about.start + (about.seconds * part) / 4), "left", 25 * part));
  }
}

function placed(label, side, percent) {
  const span = document.createElement("span");
  span.textContent = label;
  span.style[side] = `${percent}%`;
  return span;
}

function regionBox(player, region, position) {
  const box = document.createElement("button");
  box.type = "button";
  box.className = "box";
  box.tabIndex = -1; // the list below has a button for each
  const label = document.createElement("span");
  label.textContent = position + 1;
  if (region.width < 6) label.className = region.left + region.width < 95 ? "after" : "before";
  box.append(label);
  box.title = `${position + 1}: ${region.sentence}`;
  box.dataset.region = position;
  for (const side of ["left", "width", "bottom", "height"]) box.style[side] = `${region[side]}%`;
  box.addEventListener("click", () => playRegion(player, region));
  return box;
}

function remarks(about) {
  const said = [];
  if (Math.abs(about.gain) >= 1) {
    said.push(`Played ${Math.abs(about.gain).toFixed(0)} dB ${about.gain > 0 ? "louder" : "quieter"} than recorded.`);
  }
  if (about.seconds < about.whole - 0.01) {
    said.push(`${clock(about.seconds)} of ${clock(about.whole)}, from ${clock(about.start)} on.`);
  }
  if (!about.knowsFrequencies) said.push("Which frequencies the map has is not known; its bands are over the whole height.");
  return said.join(" ");
}

function moveCursor(player) {
  const time = player.audio.currentTime;
  const share = Math.min(1, time / player.about.seconds);
  player.root.querySelectorAll(".cursor").forEach((cursor) => { cursor.style.left = `${100 * share}%`; });
  if (player.stop === null || time < player.stop) return;
  const passed = time - player.stop;
  player.stop = null;
  if (passed < 0.5) player.audio.pause(); // farther: somebody moved on by hand
}

function playFrom(player, time, stop) {
  const { audio, about } = player;
  const seek = () => {
    audio.currentTime = Math.max(0, Math.min(time, about.seconds - 0.05));
    player.stop = stop;
    moveCursor(player);
  };
  if (audio.readyState > 0) seek();
  else audio.addEventListener("loadedmetadata", seek, { once: true });
  audio.play().catch(() => { player.root.querySelector(".remarks").textContent = "This browser cannot play the sound."; });
}

function playRegion(player, region) {
  const length = Math.max(region.end - region.start + 2 * MARGIN, SHORTEST);
  const start = Math.max(0, (region.start + region.end - length) / 2);
  playFrom(player, start, Math.min(start + length, player.about.seconds));
}

function pauseOthers(audio) {
  document.querySelectorAll("audio").forEach((other) => { if (other !== audio) other.pause(); });
}

// A row of the table opens to a panel: the clip, what stands out in it, and the nearest normal clip.

const panels = new Map(); // row: its panel

function openPanel(row) {
  const about = figures[Number(row.dataset.figure)];
  const panel = document.createElement("tr");
  panel.className = "panel";
  const cell = panel.insertCell();
  cell.colSpan = row.cells.length;
  const pair = document.createElement("div");
  pair.className = "pair";
  const own = makeFigure(Number(row.dataset.figure), row.dataset.what ?? "This clip");
  pair.append(own.root);
  const players = [own];
  if (about.nearest !== null) {
    players.push(makeFigure(about.nearest, "Nearest normal clip"));
    pair.append(players[1].root);
  } else if (document.getElementById("no-nearest")) {
    pair.append(document.getElementById("no-nearest").content.cloneNode(true));
  }
  own.root.insertBefore(regionList(own), own.root.querySelector(".remarks"));
  cell.append(pair);
  row.after(panel);
  panels.set(row, { panel, players });
  row.querySelector(".open").setAttribute("aria-expanded", "true");
}

function regionList(player) {
  const list = document.createElement("ol");
  list.className = "regions";
  player.about.regions.forEach((region, position) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `\u25b6 ${position + 1}`;
    button.setAttribute("aria-label", `Hear region ${position + 1}`);
    button.addEventListener("click", () => playRegion(player, region));
    for (const [event, isOn] of [["mouseenter", true], ["focus", true], ["mouseleave", false], ["blur", false]]) {
      button.addEventListener(event, () => highlight(player, position, isOn));
    }
    item.append(button, ` ${region.sentence}`);
    list.append(item);
  });
  return list;
}

function highlight(player, position, isOn) {
  player.root.querySelectorAll(`.box[data-region="${position}"]`).forEach((box) => box.classList.toggle("on", isOn));
}

function closePanel(row) {
  const { panel, players } = panels.get(row);
  for (const player of players) {
    player.audio.pause();
    player.audio.removeAttribute("src");
    player.urls.forEach((url) => URL.revokeObjectURL(url));
  }
  panel.remove();
  panels.delete(row);
  row.querySelector(".open").setAttribute("aria-expanded", "false");
}

function toggle(row) {
  if (panels.has(row)) closePanel(row);
  else openPanel(row);
}

// Sorting and filtering.

function sortRows(button) {
  const head = button.closest("th");
  const isFirst = !head.hasAttribute("aria-sort");
  const ascending = isFirst ? button.dataset.sort !== "excess" : head.getAttribute("aria-sort") === "descending";
  document.querySelectorAll("#clips th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const key = button.dataset.sort;
  const compare = "numbers" in button.dataset
    ? (one, other) => numberOf(one, key) - numberOf(other, key)
    : (one, other) => one.dataset[key].localeCompare(other.dataset[key], "en", { numeric: true });
  rows.sort((one, other) => (ascending ? compare(one, other) : compare(other, one)));
  body.append(...rows.flatMap((row) => (panels.has(row) ? [row, panels.get(row).panel] : [row])));
}

function numberOf(row, key) {
  return row.dataset[key] === "" ? Infinity : Number(row.dataset[key]);
}

function filterRows() {
  const words = document.getElementById("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const machine = document.getElementById("machine");
  const decision = document.getElementById("decision")?.value ?? "";
  let count = 0;
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word))
      || (machine !== null && machine.selectedIndex > 0 && row.dataset.machine !== machine.value)
      || (decision !== "" && row.dataset.decision !== decision);
    if (panels.has(row)) panels.get(row).panel.hidden = row.hidden;
    if (!row.hidden) count += 1;
  }
  const shown = document.getElementById("shown");
  const { one, many } = shown.dataset;
  shown.textContent = count === rows.length ? `${count} ${count === 1 ? one : many}` : `${count} of ${rows.length} ${many}`;
}

// From a place in a time line to its row.

function jump(event) {
  const link = event.target.closest('a[href^="#episode-"]');
  if (!link) return;
  event.preventDefault();
  const row = document.getElementById(link.getAttribute("href").slice(1));
  row.hidden = false;
  if (row.dataset.figure !== "" && !panels.has(row)) openPanel(row);
  row.scrollIntoView();
  (row.querySelector(".open") ?? row).focus({ preventScroll: true });
}

// Keyboard: up and down go from clip to clip, Escape closes one.

function onKey(event) {
  const open = event.target.closest(".open");
  if (open && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    const buttons = rows.filter((row) => !row.hidden).map((row) => row.querySelector(".open")).filter(Boolean);
    const next = buttons[buttons.indexOf(open) + (event.key === "ArrowDown" ? 1 : -1)];
    if (next) next.focus();
    event.preventDefault();
  }
  const inside = event.target.closest(".panel, .clip");
  if (event.key === "Escape" && inside) {
    const row = inside.classList.contains("panel") ? inside.previousElementSibling : inside;
    if (panels.has(row)) closePanel(row);
    const button = row.querySelector(".open");
    if (button) button.focus();
  }
}

if (body) {
  body.addEventListener("click", (event) => {
    const row = event.target.closest("tr.clip");
    const isButton = event.target.closest(".open") !== null;
    if (row && row.dataset.figure !== "" && (isButton || !String(getSelection()))) toggle(row);
  });
  document.getElementById("clips").addEventListener("keydown", onKey);
  document.addEventListener("click", jump);
  document.querySelectorAll("#clips [data-sort]").forEach((button) => {
    button.addEventListener("click", () => sortRows(button));
  });
  const filters = document.getElementById("filters");
  filters.addEventListener("input", filterRows);
  filters.addEventListener("submit", (event) => event.preventDefault());
}
document.documentElement.classList.add("ready");
