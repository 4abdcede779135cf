for (const box of document.querySelectorAll(".frames")) {
  const frames = [...box.querySelectorAll(".frame")], slider = box.querySelector(".slider");
  if (!slider || frames.length < 2) continue;
  const input = slider.querySelector("input"), label = slider.querySelector("output");
  const show = () => frames.forEach((frame, i) => {
    frame.hidden = i !== Number(input.value);
    if (!frame.hidden) label.textContent = frame.querySelector("figcaption").textContent;
  });
  frames.forEach((frame) => { frame.querySelector("figcaption").style.display = "none"; });
  slider.hidden = false;
  input.addEventListener("input", show);
  show();
}
