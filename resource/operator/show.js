// Writes a state into the page; what is null is not known, and nothing old stays in its place.
const element = (id) => document.getElementById(id);
const TONES = {
  following: "ok", starved: "warn", holding: "warn", fault: "bad", inactive: "off",
  idle: "off", problem: "bad",
  running: "off", success: "ok", wrong_object: "bad",
};
const MEANINGS = {
  following: "Executes what the policy sends, or rests and waits for it.",
  starved: "Rests: the policy sends nothing more.",
  holding: "Is held, and goes on by itself when the cause is over.",
  fault: "Is stopped until the fault is reset.",
  inactive: "Gets no commands.",
};
let announced = "";

export function show(state) {
  text("robot", state.robot_name);
  showExecution(state.execution);
  showPolicy(state.policy, state.run);
  showTask(state.task);
  showNumbers(state);
  element("estop").dataset.pressed = state.estop_pressed || state.estop_elsewhere;
  element("reset").classList.toggle("wanted", state.execution?.state === "fault");
  announce(state);
}

export function showNothing() {
  for (const id of ["state", "activity", "outcome"]) pill(id, "not known", "off");
  for (const id of ["meaning", "reason", "problem", "run", "sentence"]) text(id, "");
  for (const id of ["latency", "delay", "percentiles", "age", "chunks", "commands"]) text(id, "–");
  element("dry").hidden = true;
  element("reset").classList.remove("wanted");
  announced = "";
}

function showExecution(execution) {
  if (!execution) {
    pill("state", "not known", "bad");
    text("meaning", "");
    text("reason", "chunker_node is silent. Nobody says what the arm does.");
    element("reason").dataset.tone = "bad";
    element("dry").hidden = true;
    return;
  }
  pill("state", execution.state, TONES[execution.state] ?? "warn");
  text("meaning", MEANINGS[execution.state] ?? "");
  element("reason").dataset.tone = execution.state === "fault" ? "bad" : "off";
  text("reason", [execution.reason, execution.message].filter(Boolean).join(": "));
  element("dry").hidden = !execution.health?.includes("dry run");
}

function showPolicy(policy, run) {
  if (!policy) {
    pill("activity", "not known", "bad");
    text("problem", "policy_node is silent.");
    element("problem").dataset.tone = "bad";
    text("run", "");
    return;
  }
  pill("activity", policy.activity, policy.activity === "following" ? "ok" : (TONES[policy.activity] ?? "warn"));
  text("problem", policy.message === policy.activity ? "" : policy.message);
  element("problem").dataset.tone = policy.well ? "off" : "bad";
  const ended = run?.phase === "ended" && policy.activity !== "following";
  text("run", ended ? `“${run.instruction}” ended: ${run.reason.replaceAll("_", " ")}, ${run.message} (${run.chunks} ${run.chunks === 1 ? "chunk" : "chunks"}).` : "");
}

function showTask(task) {
  element("task").hidden = !task;
  if (!task) return;
  pill("outcome", task.outcome.replace("_", " "), TONES[task.outcome] ?? "off");
  const detail = task.detail ? `, ${task.detail}` : "";
  text("sentence", `${task.task}: “${task.instruction}”${detail}, ${task.elapsed_s.toFixed(0)} s since the reset`);
}

function showNumbers({ chunk, execution, policy }) {
  text("latency", milliseconds(chunk?.latency_ms));
  text("delay", milliseconds(execution?.delay_ms || null));
  const known = policy?.latency_ms_p50 != null && policy.latency_ms_p95 != null;
  text("percentiles", known ? `${policy.latency_ms_p50.toFixed(0)} / ${milliseconds(policy.latency_ms_p95)}` : "–");
  text("age", chunk ? `${chunk.age_s < 10 ? chunk.age_s.toFixed(1) : chunk.age_s.toFixed(0)} s ago` : "–");
  text("chunks", chunk ? `${chunk.per_s.toFixed(1)} /s` : "–");
  text("commands", execution?.commands_hz != null ? `${execution.commands_hz.toFixed(1)} Hz` : "–");
}

// For those who hear the page: changes of state, not numbers.
function announce({ execution, policy }) {
  const arm = execution ? `Arm: ${execution.state} ${execution.reason}` : "Arm: not known";
  const sentence = `${arm}. Policy: ${policy ? policy.activity : "not known"}.`;
  if (sentence === announced) return;
  announced = sentence;
  text("announcer", sentence);
}

function milliseconds(value) {
  return value == null ? "–" : `${value.toFixed(0)} ms`;
}

function pill(id, words, tone) {
  text(id, words);
  element(id).dataset.tone = tone;
}

function text(id, words) {
  if (element(id).textContent !== words) element(id).textContent = words;
}
