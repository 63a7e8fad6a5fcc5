// Live pictures: one request at a time for all cameras, so that nothing waits behind them, and none while nobody looks.
const FRESH_MS = 2000;
const PATIENCE_MS = 3000;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const shown = new Map();
let asking = false;

export function showCameras(state) {
  for (const camera of state.cameras) {
    if (!shown.has(camera)) add(camera);
    const view = shown.get(camera);
    const rate = state.camera_hz[camera];
    view.rate.textContent = rate == null ? "" : `${rate.toFixed(1)} frames/s to the policy`;
    view.problem = state.camera_problems[camera];
  }
  if (!asking) keepAsking(1000 / state.picture_hz);
}

function add(camera) {
  const figure = document.createElement("figure");
  const image = document.createElement("img");
  const missing = document.createElement("p");
  const caption = document.createElement("figcaption");
  const rate = document.createElement("span");
  image.alt = `Picture of the camera ${camera}`;
  missing.className = "missing";
  caption.append(Object.assign(document.createElement("span"), { textContent: camera }), rate);
  figure.append(image, missing, caption);
  document.getElementById("pictures").append(figure);
  const view = { figure, image, missing, rate, problem: "", seen: 0, came: -Infinity };
  shown.set(camera, view);
  setInterval(() => judge(view), 250);
}

async function keepAsking(periodMs) {
  asking = true;
  for (;;) {
    const began = performance.now();
    for (const [camera, view] of shown) {
      if (!document.hidden) await ask(camera, view).catch(() => {});
    }
    await sleep(Math.max(20, periodMs - (performance.now() - began)));
  }
}

async function ask(camera, view) {
  const response = await fetch(`/api/pictures/${encodeURIComponent(camera)}?seen=${view.seen}`, {
    signal: AbortSignal.timeout(PATIENCE_MS),
    cache: "no-store",
    priority: "low",
  });
  if (response.status !== 200) return;
  const before = view.image.src;
  view.image.src = URL.createObjectURL(await response.blob());
  if (before) URL.revokeObjectURL(before);
  view.seen = response.headers.get("X-Picture");
  view.came = performance.now();
}

function judge(view) {
  const age = performance.now() - view.came;
  const fresh = age < FRESH_MS && document.body.dataset.connection === "there";
  view.figure.dataset.fresh = fresh;
  const since = Number.isFinite(age) ? `No picture for ${(age / 1000).toFixed(0)} s` : "No picture yet";
  view.missing.textContent = fresh ? "" : `${since}. ${view.problem}`;
}
