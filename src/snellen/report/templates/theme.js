"use strict";
// Before the first paint: the theme that the reader chose last time, and a mark that scripts run.
document.documentElement.classList.add("js");
try {
  const theme = localStorage.getItem("snellen-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch (error) { /* storage is closed to this page: the system's theme stays */ }
