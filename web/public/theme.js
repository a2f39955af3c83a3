// Runs before the first paint: applies the stored theme and language to <html> (see src/lib/theme.ts, src/i18n/index.ts).
(function () {
  var root = document.documentElement;
  var theme = null;
  var language = null;
  try {
    theme = localStorage.getItem("oblivious.theme");
    language = localStorage.getItem("oblivious.language");
  } catch {
    // Storage may be blocked; the system's preference then decides.
  }
  var dark = theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  root.classList.toggle("dark", dark);
  root.lang = language || (/^zh/i.test(navigator.language) ? "zh-CN" : "en");
})();
