const open = () => {
  const place = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (place instanceof HTMLDetailsElement) place.open = true;
};
addEventListener("hashchange", open);
addEventListener("beforeprint", () => document.querySelectorAll(".gate:is(.s-FAIL, .s-UNKNOWN, .s-STALE), .rest").forEach((part) => { part.open = true; }));
open();
