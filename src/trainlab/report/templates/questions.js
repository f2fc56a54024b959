"use strict";

// The choice of two groups.
const { questions, answers, start } = JSON.parse(document.getElementById("answers").textContent);
const choice = document.getElementById("choice");
if (choice) {
  const first = document.getElementById("first");
  const second = document.getElementById("second");
  const show = () => {
    const found = answers[`${first.value},${second.value}`];
    const list = document.createElement("dl");
    questions.forEach((question, i) => {
      list.append(element("dt", question), element("dd", found ? found[i] : ""));
    });
    document.getElementById("answer").replaceChildren(found ? list : element("p", "Choose two different groups."));
  };
  first.addEventListener("change", show);
  second.addEventListener("change", show);
  [first.value, second.value] = start;
  choice.hidden = false;
  show();
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text.replaceAll(" ± ", "\u00a0±\u00a0").replaceAll(" %", "\u00a0%"); // a sign stays with its number
  return made;
}
