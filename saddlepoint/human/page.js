// The page of a study. `element` is the page's own part of the document; `server` holds the functions of page.py.
// What the server sends is set as text or as picture sources, never as markup.

const PATIENCE_MS = 2000; // between two tries to reach a server that does not answer
const FIXATION_MS = 500;
const NAMES = { real: "Real", generated: "Generated", tie: "About equal" };
const root = element.querySelector(".study");
const rater = raterCode();
let keys = {};

document.addEventListener("keydown", (event) => {
  const action = keys[event.key];
  if (action && !event.repeat && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    action();
  }
});
run();

async function run() {
  let view = await ask("view", { rater });
  for (;;) {
    keys = {};
    if (view.error) return show(make("p", "notice", view.error));
    if (view.state === "done") return done(view);
    view = view.state === "consent" ? await consent(view) : await question(view);
  }
}

// -- talking to the server -----------------------------------------------------------------------------------------------------------------

function raterCode() {
  const address = new URL(window.location);
  let code = address.searchParams.get("rater") || stored();
  if (!code) {
    code = [...crypto.getRandomValues(new Uint8Array(6))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }
  try { localStorage.setItem("saddlepoint-rater", code); } catch { /* private mode: the address alone keeps the code */ }
  if (address.searchParams.get("rater") !== code) {
    address.searchParams.set("rater", code);
    history.replaceState(null, "", address);
  }
  return code;
}

function stored() {
  try { return localStorage.getItem("saddlepoint-rater"); } catch { return null; }
}

// Asks until there is an answer: a server that is down loses nothing, the same answer is sent again when it is back.
async function ask(name, data) {
  for (;;) {
    const reply = await server[name](data).catch(() => null); // Gradio's own client gives nothing where the server is down
    root.classList.toggle("offline", !reply);
    if (reply) return reply;
    await wait(PATIENCE_MS);
  }
}

// -- the views -----------------------------------------------------------------------------------------------------------------------------

function consent(view) {
  return new Promise((resolve) => {
    const agree = button("I agree, begin", async () => resolve(await ask("consent", { rater })));
    const parts = [make("p", "consent", view.consent), make("p", "note", `${view.of} questions. You can stop and come back with this page's address.`)];
    show(heading(view), ...parts, bar([agree]));
    agree.focus();
  });
}

function done(view) {
  show(heading(view), make("p", "consent", "Thank you. All your answers are stored; you can close this page."), make("p", "note", `Your code: ${rater}`));
}

async function question(view) {
  const pictures = await Promise.all(view.images.map(load));
  const masks = await Promise.all(view.masks.map(load));
  const check = view.role === "attention";
  const cards = Array.from({ length: check && view.layout === "one" ? 0 : view.num_shown }, (_, place) => card(view, place, pictures[place]));
  const stage = make("div", `stage ${view.layout}`);
  stage.style.setProperty("--columns", Math.min(view.num_shown, 4));
  stage.append(...cards);
  const label = view.role === "practice" ? "Practice. " : "";
  const parts = [heading(view), make("p", "question", check ? checkText(view) : label + view.question)];
  if (view.prompt) parts.push(make("p", "prompt", view.prompt));
  const controls = bar([]);
  show(...parts, stage, controls);
  const shown_ms = view.exposure_ms === null ? null : await expose(stage, cards, pictures, masks, view);
  const since = performance.now() - (shown_ms === null ? 0 : shown_ms + masks.length * view.mask_ms);
  const choice = await choose(view, cards, controls);
  keys = {};
  const data = { rater, trial: view.trial, choice, response_ms: performance.now() - since, shown_ms };
  const next = await ask("answer", data);
  if (next.feedback) {
    cards.forEach((box, place) => box.querySelector(".frame").replaceChildren(pictures[place])); // seen again, to learn from
    await feedback(next.feedback, cards, controls);
  }
  return next;
}

function checkText(view) {
  const places = view.layout === "order" ? view.check.split(",").map((place) => Number(place) + 1).join(", then ") : null;
  if (places) return `Attention check: please choose ${places}.`;
  return `Attention check: please choose ${NAMES[view.check] || `picture ${Number(view.check) + 1}`}.`;
}

function card(view, place, picture) {
  const box = make(view.layout === "one" ? "div" : "button", "card");
  const frame = make("div", "frame");
  if (picture) frame.append(picture);
  box.append(frame);
  if (view.layout !== "one") box.append(make("span", "number", String(place + 1)));
  return box;
}

// Shows the pictures for a time, then the masks; by frames, as a screen does. Returns how long they were on the screen, in milliseconds.
async function expose(stage, cards, pictures, masks, view) {
  const frames = cards.map((box) => box.querySelector(".frame"));
  const put = (sources) => frames.forEach((frame, place) => frame.replaceChildren(...(sources ? [sources[place % sources.length]] : [])));
  frames.forEach((frame) => frame.replaceChildren(make("span", "fixation", "+")));
  await hold(FIXATION_MS);
  put(pictures);
  const shown_ms = await hold(view.exposure_ms);
  for (const mask of masks) {
    put(frames.map(() => mask.cloneNode()));
    await hold(view.mask_ms);
  }
  put(null);
  return shown_ms;
}

function choose(view, cards, controls) {
  return new Promise((resolve) => {
    if (view.layout === "one") {
      const [left, right] = view.choices.map((choice) => button(NAMES[choice], () => resolve(choice)));
      left.append(make("kbd", "", "←"));
      right.append(make("kbd", "", "→"));
      controls.append(left, right);
      keys = { ArrowLeft: () => resolve(view.choices[0]), ArrowRight: () => resolve(view.choices[1]) };
      return;
    }
    if (view.layout === "order") return chooseOrder(cards, controls, resolve);
    cards.forEach((box, place) => {
      box.onclick = keys[String(place + 1)] = () => resolve(String(place));
    });
    if (view.choices.includes("tie")) {
      controls.append(button(NAMES.tie, () => resolve("tie")));
      keys["0"] = () => resolve("tie");
    }
  });
}

function chooseOrder(cards, controls, resolve) {
  const order = [];
  const send = button("Send", () => resolve(order.join(",")));
  const again = button("Start again", () => { order.length = 0; mark(); });
  const mark = () => {
    cards.forEach((box, place) => {
      const rank = order.indexOf(place);
      box.querySelector(".rank")?.remove();
      box.classList.toggle("chosen", rank >= 0);
      if (rank >= 0) box.append(make("span", "rank", ["best", "2nd", "3rd"][rank] || `${rank + 1}th`));
    });
    send.disabled = order.length < cards.length;
    again.disabled = order.length === 0;
  };
  cards.forEach((box, place) => {
    box.onclick = keys[String(place + 1)] = () => { if (!order.includes(place)) { order.push(place); mark(); } };
  });
  keys.Enter = () => { if (!send.disabled) send.click(); };
  controls.append(again, send);
  mark();
}

function feedback(told, cards, controls) {
  return new Promise((resolve) => {
    const truth = NAMES[told.answer] ? `it is ${told.answer}` : `picture ${Number(told.answer) + 1} is real`;
    const next = button("Next", resolve);
    controls.replaceChildren(make("p", told.right ? "right" : "wrong", `${told.right ? "Right" : "Wrong"}: ${truth}.`), next);
    cards[Number(told.answer)]?.classList.add("truth");
    next.focus();
  });
}

// -- small things --------------------------------------------------------------------------------------------------------------------------

function heading(view) {
  const head = make("header", "");
  const track = make("div", "track");
  const done = make("i", "");
  const count = view.state === "done" ? view.of : view.trial || 0;
  done.style.width = `${(100 * count) / view.of}%`;
  track.append(done);
  head.append(make("h1", "", view.title), track, make("span", "count", view.state === "question" ? `${count + 1} of ${view.of}` : ""));
  return head;
}

function show(...parts) {
  const lost = make("p", "lost", "The server does not answer. Leave this page open: nothing is lost, and it goes on by itself.");
  root.replaceChildren(...parts, lost);
}

function bar(buttons) {
  const controls = make("div", "controls");
  controls.append(...buttons);
  return controls;
}

function button(text, action) {
  const found = make("button", "choice", text);
  found.onclick = () => action();
  return found;
}

function make(tag, name, text = "") {
  const found = document.createElement(tag);
  if (name) found.className = name;
  found.textContent = text;
  return found;
}

async function load(source) {
  const picture = new Image();
  picture.src = source;
  picture.alt = "";
  picture.draggable = false;
  await picture.decode();
  picture.classList.toggle("small", picture.naturalWidth <= 128);
  return picture;
}

function wait(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function frame() {
  return new Promise((resolve) => requestAnimationFrame(resolve));
}

// Waits for the next frame and then for a time, to the nearest frame; returns the time between the two frames.
async function hold(milliseconds) {
  const start = await frame();
  let now = start, step = 16;
  while (now - start < milliseconds - step / 2) {
    const next = await frame();
    step = Math.min(next - now, 34);
    now = next;
  }
  return now - start;
}
