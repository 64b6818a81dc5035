// Counts down to the moments that a page names; without it, the time on the wall stands there.
document.addEventListener("DOMContentLoaded", () => {
  const shown = document.querySelectorAll("[data-leaves-at]");
  const two = (number) => String(number).padStart(2, "0");
  const tick = () => shown.forEach((element) => {
    const left = Math.max(0, Math.floor((Date.parse(element.dataset.leavesAt) - Date.now()) / 1000));
    const hours = Math.floor(left / 3600);
    const minutes = Math.floor(left / 60) % 60;
    element.textContent = hours ? `in ${hours} h ${minutes} min` : `in ${minutes}:${two(left % 60)}`;
  });
  if (shown.length) setInterval(tick, 1000);
});
