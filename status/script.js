// The page is complete without this script, which only renews it: it asks for the
// same page once a second and carries what has changed over, node by node, so that
// focus, open details, half-filled fields and the place on the page stay.
"use strict";

const interval = 1000;   // between an answer and the next question
const slowest = 10000;   // the same while nobody answers
const patience = 8000;   // for an answer

const main = document.getElementById("main");
const live = document.getElementById("live");
const said = document.getElementById("said");
const pause = document.getElementById("pause");

let paused = false;
let timer = 0;
let asking = null;       // the AbortController of the question under way
let failures = 0;
let lastAnswer = new Date();

pause.hidden = false;
pause.setAttribute("aria-pressed", "false");
pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  pause.textContent = paused ? "Go on" : "Pause";
  if (paused) stop(); else ask();
  tell();
});

// A hidden tab asks nothing.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) stop();
  else if (!paused) ask();
});

document.addEventListener("submit", (event) => {
  event.preventDefault();
  act(event.target, event.submitter);
});

function stop() {
  clearTimeout(timer);
  timer = 0;
  if (asking) asking.abort();
  asking = null;
}

function later() {
  clearTimeout(timer);
  if (!paused && !document.hidden) timer = setTimeout(ask, Math.min(interval * 2 ** Math.min(failures, 5), slowest));
}

// ask renews the page. Text that is being selected is left alone: it is about to
// be copied.
async function ask() {
  stop();
  const selection = document.getSelection();
  if (selection && !selection.isCollapsed && main.contains(selection.anchorNode)) {
    tell("waiting while text is selected");
    later();
    return;
  }
  const mine = asking = new AbortController();
  const limit = setTimeout(() => mine.abort(), patience);
  try {
    const answer = await fetch(location.pathname + location.search, { signal: mine.signal, cache: "no-store", redirect: "error" });
    if (!answer.ok) throw new Error("status " + answer.status);
    const text = await answer.text();
    if (mine !== asking) return;
    show(text);
    failures = 0;
  } catch (error) {
    if (mine !== asking) return; // it was ended on purpose
    failures++;
  } finally {
    clearTimeout(limit);
  }
  asking = null;
  tell();
  later();
}

// act sends a form as its button would, and shows the page that is the answer.
async function act(form, button) {
  stop();
  said.className = "";
  said.textContent = "…";
  try {
    const answer = await fetch(form.getAttribute("action"), { method: "POST", body: new URLSearchParams(new FormData(form, button)) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(text.trim());
    form.reset(); // fields then follow what is in force again
    show(text);
    const latest = main.querySelector("#actions li");
    said.textContent = latest ? latest.textContent : "";
    said.className = latest ? latest.className : "";
    failures = 0;
  } catch (error) {
    said.className = "bad";
    said.textContent = String(error.message || error);
  }
  if (paused) return;
  ask();
}

function show(text) {
  const page = new DOMParser().parseFromString(text, "text/html");
  const fresh = page.getElementById("main");
  if (!fresh) throw new Error("not the page");
  morph(main, fresh);
  document.title = page.title;
  lastAnswer = new Date();
}

// tell says how old what is shown is.
function tell(why) {
  const time = lastAnswer.toLocaleTimeString(undefined, { hour12: false });
  live.parentElement.classList.toggle("stale", failures > 0);
  if (failures > 0) live.textContent = "no answer since " + time + ", trying again";
  else if (paused) live.textContent = "paused at " + time;
  else live.textContent = "live, " + time + (why ? ", " + why : "");
}

// morph makes one element like another of the same name.
function morph(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  attributes(old, fresh);
  const wanted = new Set();
  for (const child of fresh.children) if (child.id) wanted.add(child.id);
  for (const child of [...old.children]) if (child.id && !wanted.has(child.id)) child.remove();
  let place = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const known = counterpart(old, place, child);
    if (!known) {
      old.insertBefore(document.importNode(child, true), place);
      continue;
    }
    if (known !== place) move(old, known, place);
    if (known.nodeType === Node.ELEMENT_NODE) morph(known, child);
    else if (known.data !== child.data) known.data = child.data;
    place = known.nextSibling;
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

// move keeps the focus inside what it moves, where the browser can do that.
function move(parent, node, place) {
  if (parent.moveBefore) parent.moveBefore(node, place);
  else parent.insertBefore(node, place);
}

// counterpart finds the node that is to become child: the one of the same id, or
// the one that stands in its place, if that is of the same kind.
function counterpart(parent, place, child) {
  if (child.id) {
    const known = document.getElementById(child.id);
    return known && known.parentNode === parent && known.nodeName === child.nodeName ? known : null;
  }
  return place && place.nodeName === child.nodeName && !place.id ? place : null;
}

// attributes copies them, but for what belongs to whoever is reading: whether
// details are open, and what was typed into a field.
function attributes(old, fresh) {
  const untouched = old.nodeName === "INPUT" && old.value === old.defaultValue;
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !(name === "open" && old.nodeName === "DETAILS")) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  if (untouched && old.value !== old.defaultValue) old.value = old.defaultValue;
}

tell();
later();
