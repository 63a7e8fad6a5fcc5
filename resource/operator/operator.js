// The page asks for the state again and again instead of keeping a stream open: browsers open six connections to one
// server, and those that never end, in a few tabs, would leave none for the emergency stop.
import { showCameras } from "./cameras.js";
import { recall, remember } from "./instructions.js";
import { show, showNothing } from "./show.js";

const STATE_MS = 200;
const LOST_MS = 1500;
const ANSWER_MS = 6000;
const ESTOP_MS = 3000;
const AGAIN_MS = 300;

const element = (id) => document.getElementById(id);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let heard = performance.now();
let pressing = false;

// ---- state ------------------------------------------------------------------------------------------------------
async function follow() {
  for (;;) {
    const began = performance.now();
    try {
      const response = await fetch("/api/state", { signal: AbortSignal.timeout(LOST_MS), cache: "no-store" });
      const state = await response.json();
      if (response.ok) {
        connected();
        show(state);
        showCameras(state);
      } else {
        lost(state.message);
      }
    } catch {
      // The watchdog below says so when it lasts.
    }
    await sleep(Math.max(0, STATE_MS - (performance.now() - began)));
  }
}

function connected() {
  heard = performance.now();
  if (document.body.dataset.connection === "there") return;
  document.body.dataset.connection = "there";
  element("link").textContent = "connected";
  element("link").dataset.tone = "ok";
  element("lost").hidden = true;
  for (const id of ["start", "stop", "reset"]) element(id).disabled = false;
}

function lost(why) {
  if (document.body.dataset.connection === "lost") return;
  document.body.dataset.connection = "lost";
  element("link").textContent = "no connection";
  element("link").dataset.tone = "bad";
  element("lost").textContent =
    `${why} Since ${new Date().toLocaleTimeString()} nothing is known of the robot; the arm may be moving. ` +
    "The emergency stop below still tries to get through; if in doubt, use the power switch.";
  element("lost").hidden = false;
  for (const id of ["start", "stop", "reset"]) element(id).disabled = true;
  showNothing();
}

setInterval(() => {
  if (performance.now() - heard > LOST_MS) lost("No connection to the operator node.");
}, 250);

// ---- commands ---------------------------------------------------------------------------------------------------
async function post(name, body = {}, patience = ANSWER_MS) {
  const response = await fetch(`/api/${name}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(patience),
    priority: "high",
  });
  return response.json();
}

function say(text, tone) {
  element("answer").textContent = text;
  element("answer").dataset.tone = tone;
}

async function command(title, name, body) {
  say(`${title} …`, "off");
  try {
    const answer = await post(name, body);
    say(answer.ok ? `${title}: ${answer.message}` : `${title} refused: ${answer.message}`, answer.ok ? "ok" : "bad");
    return answer.ok;
  } catch {
    say(`${title}: no answer from the operator node. Nobody knows whether it was done.`, "bad");
    return false;
  }
}

async function emergencyStop() {
  if (pressing) return;
  pressing = true;
  say("Emergency stop …", "off");
  for (;;) {
    try {
      const answer = await post("estop", {}, ESTOP_MS);
      say(`Emergency stop: ${answer.message}`, answer.ok ? "warn" : "bad");
      break;
    } catch {
      say("Emergency stop NOT CONFIRMED: no answer, trying again. Use the power switch.", "bad");
      await sleep(AGAIN_MS);
    }
  }
  pressing = false;
}

// ---- what a person does -----------------------------------------------------------------------------------------
element("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const instruction = element("instruction").value.trim();
  if (instruction && (await command("Start", "start", { instruction }))) remember(instruction);
});
element("stop").addEventListener("click", () => command("Stop", "stop"));
element("reset").addEventListener("click", () => command("Reset fault", "reset"));
// At the first touch, not when the finger is lifted; a click comes from the keyboard or from a screen reader.
element("estop").addEventListener("pointerdown", emergencyStop);
element("estop").addEventListener("click", emergencyStop);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.isComposing) {
    event.preventDefault();
    emergencyStop();
  }
});

recall((instruction) => {
  element("instruction").value = instruction;
  element("instruction").focus();
});
follow();
