// The last instructions, kept in this browser.
const KEY = "dvla-instructions";
const KEPT = 8;
let choose = () => {};

export function recall(onChoice) {
  choose = onChoice;
  list(stored());
}

export function remember(instruction) {
  const last = [instruction, ...stored().filter((one) => one !== instruction)].slice(0, KEPT);
  try {
    localStorage.setItem(KEY, JSON.stringify(last));
  } catch {
    // A browser that keeps nothing still shows them until the page is closed.
  }
  list(last);
}

function stored() {
  try {
    const last = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(last) ? last.filter((one) => typeof one === "string") : [];
  } catch {
    return [];
  }
}

function list(last) {
  document.getElementById("last").hidden = last.length === 0;
  document.getElementById("instructions").replaceChildren(...last.map(entry));
}

function entry(instruction) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = instruction;
  button.addEventListener("click", () => choose(instruction));
  const item = document.createElement("li");
  item.append(button);
  return item;
}
