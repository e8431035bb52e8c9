// The study list by keyboard: "/" goes to the search, arrow keys go from study to study, Enter picks. All are links.
(function () {
  "use strict";
  var links = Array.prototype.slice.call(document.querySelectorAll(".rows.is-tight tbody th a"));
  var field = document.getElementById("q");

  function go(place) {
    links[Math.min(Math.max(place, 0), links.length - 1)].focus();
  }

  document.addEventListener("keydown", function (event) {
    var at = document.activeElement;
    if (event.ctrlKey || event.altKey || event.metaKey || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName)) {
      if (at === field && event.key === "ArrowDown" && links.length) { event.preventDefault(); go(0); }
      return;
    }
    var place = links.indexOf(at);
    if (event.key === "/") {
      event.preventDefault();
      field.focus();
      field.select();
    } else if (links.length && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      var chosen = links.findIndex(function (link) { return link.hasAttribute("aria-current"); });
      var from = place < 0 ? chosen : place;
      event.preventDefault();
      go(from < 0 ? 0 : from + (event.key === "ArrowDown" ? 1 : -1));
    } else if (place >= 0 && (event.key === "Home" || event.key === "End")) {
      event.preventDefault();
      go(event.key === "Home" ? 0 : links.length - 1);
    }
  });
})();
