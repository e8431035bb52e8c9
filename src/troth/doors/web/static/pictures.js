// Quicker ways through the pictures of a scan: slider, arrow keys, swiping. Without it the links and the form do.
(function () {
  "use strict";
  var viewer = document.querySelector("[data-pictures]");
  var list = viewer && viewer.querySelector("[data-paths]");
  if (!list) { return; }
  var paths = Array.prototype.map.call(list.children, function (each) { return each.textContent; });
  var picture = viewer.querySelector(".stage img");
  var stage = viewer.querySelector(".stage");
  var slider = viewer.querySelector("input[type=range]");
  var field = viewer.querySelector("#go");
  var told = viewer.querySelector("[data-place]");
  var under = viewer.querySelector(".under");
  var place = Number(slider.value);
  var waiting = null, ahead = [];

  function address(number) {
    var found = new URL(window.location.href);
    found.searchParams.set("image", String(number));
    return found;
  }

  function load() {
    waiting = null;
    picture.src = paths[place - 1];
    ahead = [1, 2, 3, -1].map(function (step) { return paths[place - 1 + step]; }).filter(Boolean).map(function (path) {
      var one = new Image();
      one.src = path;
      return one;
    });
    window.history.replaceState(null, "", address(place));
    // What else on the page leads to this picture follows, so that a link pressed now starts from here.
    viewer.querySelectorAll("a[href*='image=']").forEach(function (link) {
      var there = new URL(link.href);
      if (!link.rel) { there.searchParams.set("image", String(place)); link.href = there; }
    });
  }

  function show(number) {
    number = Math.min(Math.max(number, 1), paths.length);
    if (number === place) { return; }
    place = number;
    slider.value = String(place);
    if (field) { field.value = String(place); }
    told.textContent = "Image " + place.toLocaleString("en-GB") + " of " + paths.length.toLocaleString("en-GB");
    picture.alt = told.textContent;
    ends();
    if (waiting) { window.clearTimeout(waiting); }
    waiting = window.setTimeout(load, 60);
  }

  function end(at, words, rel, step) {
    var button = document.createElement("button");
    button.type = "button";
    button.className = "btn";
    button.textContent = words;
    button.addEventListener("click", function () { show(place + step); });
    under.replaceChild(button, at);
    return button;
  }

  var before = end(under.firstElementChild, "‹ Previous", "prev", -1);
  var after = end(under.lastElementChild, "Next ›", "next", 1);
  function ends() {
    before.setAttribute("aria-disabled", String(place === 1));
    after.setAttribute("aria-disabled", String(place === paths.length));
    before.classList.toggle("is-off", place === 1);
    after.classList.toggle("is-off", place === paths.length);
  }

  slider.hidden = false;
  var how = viewer.querySelector("[data-how]");
  if (how) { how.hidden = false; }
  ends();
  slider.addEventListener("input", function () { show(Number(slider.value)); });
  viewer.querySelectorAll("form").forEach(function (form) {
    form.addEventListener("submit", function (event) { event.preventDefault(); show(Number(field.value)); });
  });
  document.addEventListener("keydown", function (event) {
    if (event.altKey || event.ctrlKey || event.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) { return; }
    var step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, PageUp: -10, PageDown: 10 }[event.key];
    if (event.key === "Home") { step = -paths.length; }
    if (event.key === "End") { step = paths.length; }
    if (step) { event.preventDefault(); show(place + step); }
  });
  var from = null;
  stage.addEventListener("touchstart", function (event) {
    from = event.touches.length === 1 ? event.touches[0].clientX : null;
  }, { passive: true });
  stage.addEventListener("touchmove", function (event) {
    if (from === null || event.touches.length !== 1) { return; }
    var steps = Math.trunc((from - event.touches[0].clientX) / 24);
    if (steps) { from -= steps * 24; show(place + steps); }
  }, { passive: true });
  stage.addEventListener("wheel", function (event) {
    event.preventDefault();
    show(place + (event.deltaY > 0 ? 1 : -1));
  }, { passive: false });
})();
