// What keeps somebody from using a page: one sentence for each, none for a page that is for everybody.
(function () {
  var found = [], doc = document.documentElement;
  function every(selector) { return [...document.querySelectorAll(selector)]; }
  function say(what, at) { found.push(what + (at ? ": " + at.outerHTML.replace(/\s+/g, " ").slice(0, 160) : "")); }
  function seen(e) {
    var head = e.closest("thead");
    if (head && getComputedStyle(head).position === "absolute") return false;  // said by each cell
    if (!e.getClientRects().length || !e.checkVisibility({visibilityProperty: true, contentVisibilityAuto: true})) return false;
    var box = e.getBoundingClientRect();
    return box.width > 1 && box.height > 1;
  }

  // Structure.
  if (!doc.lang) say("no language");
  if (every("h1").length !== 1) say(every("h1").length + " first headings");
  if (!document.querySelector("main")) say("no main part");
  if (!document.querySelector("header")) say("no header");
  var last = 0;
  every("h1,h2,h3,h4,h5,h6").forEach(function (h) {
    if (+h.tagName[1] > last + 1) say("a heading skips a level", h);
    last = +h.tagName[1];
  });
  every("th").forEach(function (th) { if (!th.scope) say("a header of nothing said", th); });
  every("table").forEach(function (t) { if (t.rows.length && !t.querySelector("th")) say("no headers", t); });

  // Names.
  every("input:not([type=hidden]):not([type=submit]),select,textarea").forEach(function (f) {
    if (!f.labels.length && !f.getAttribute("aria-label") && !f.getAttribute("aria-labelledby")) say("no label", f);
  });
  every("a,button").forEach(function (e) {
    if (seen(e) && !e.textContent.trim() && !e.getAttribute("aria-label") && !e.title) say("no name", e);
  });
  var ids = {};
  every("[id]").forEach(function (e) { if (ids[e.id]) say("the same id twice", e); ids[e.id] = true; });
  ["aria-describedby", "aria-labelledby", "for"].forEach(function (name) {
    every("[" + name + "]").forEach(function (e) {
      e.getAttribute(name).split(" ").forEach(function (id) { if (!ids[id]) say(name + " leads nowhere", e); });
    });
  });
  every("ul.errorlist").forEach(function (e) {
    if (!e.closest(".row") && !e.classList.contains("nonfield")) say("an error beside no field", e);
  });

  // Without a script.
  every("*").forEach(function (e) {
    for (var a of e.attributes) if (/^on/.test(a.name) || /^javascript:/i.test(a.value)) say("needs a script", e);
  });
  every("form:not(#changelist-form)").forEach(function (f) {  // a list from which nothing is chosen
    if (!f.querySelector("[type=submit],button:not([type=button])")) say("nothing to press", f);
  });

  // Room.
  if (doc.scrollWidth > doc.clientWidth) say("wider than the screen by " + (doc.scrollWidth - doc.clientWidth));
  function scrolls(e) {
    for (; e && e !== document.body; e = e.parentElement)
      if (/auto|scroll|hidden/.test(getComputedStyle(e).overflowX)) return true;
    return false;
  }
  every("body *").forEach(function (e) {
    if (!seen(e) || e.closest("svg") || e.id === "measured") return;
    var box = e.getBoundingClientRect(), style = getComputedStyle(e);
    if ((box.right > doc.clientWidth + 1 || box.left < -1) && !scrolls(e.parentElement)) say("sticks out", e);
    if (style.overflowX === "hidden" && e.scrollWidth > e.clientWidth + 1) say("is cut", e);
  });
  // WCAG 2.2, 2.5.8: 24 pixels, but for a link within a sentence.
  every("button,input:not([type=hidden]),select,textarea,summary,a").forEach(function (e) {
    if (!seen(e) || (e.tagName === "A" && getComputedStyle(e).display === "inline")) return;
    var box = e.getBoundingClientRect();
    if (box.height < 24 || box.width < 24) say("small to hit, " + Math.round(box.width) + " by " + Math.round(box.height), e);
  });

  // A day is written as everywhere; as it is typed in a field, in a name, or in code is another thing.
  var texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), text;
  while ((text = texts.nextNode())) {
    if (/(^|[\s(])\d{4}-\d\d-\d\d(?![\w/-])/.test(text.nodeValue) && !text.parentElement.closest("code,pre,script,style,textarea,option,#measured"))
      say("a day as machines write it", text.parentElement);
  }

  // WCAG 2.2, 1.4.3: 4.5 to 1, and 3 to 1 for large words.
  function colour(text) {
    var n = text.match(/[\d.]+/g).map(Number);
    if (/^color\(srgb/.test(text)) n = [n[0] * 255, n[1] * 255, n[2] * 255, n[3]];
    return [n[0], n[1], n[2], n[3] === undefined ? 1 : n[3]];
  }
  function over(top, base) { return [0, 1, 2].map(i => top[i] * top[3] + base[i] * (1 - top[3])).concat([1]); }
  function light(c) {
    var l = c.slice(0, 3).map(function (v) { v /= 255; return v <= 0.04045 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4); });
    return 0.2126 * l[0] + 0.7152 * l[1] + 0.0722 * l[2];
  }
  function behind(e) {
    var layers = [], base = [255, 255, 255, 1];
    for (; e; e = e.parentElement) {
      var c = colour(getComputedStyle(e).backgroundColor);
      if (c[3]) layers.push(c);
      if (c[3] === 1) break;
    }
    while (layers.length) base = over(layers.pop(), base);
    return base;
  }
  var words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), node, told = {};
  while ((node = words.nextNode())) {
    var e = node.parentElement;
    if (!node.nodeValue.trim() || e.closest("svg,script,style,option,#measured") || !seen(e)) continue;
    var style = getComputedStyle(e), ground = behind(e), ink = over(colour(style.color), ground);
    var both = [light(ink), light(ground)].sort((a, b) => b - a), ratio = (both[0] + 0.05) / (both[1] + 0.05);
    var size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && +style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5) && !told[ink + "" + ground]) { told[ink + "" + ground] = true; say("pale, " + ratio.toFixed(1) + " to 1", e); }
  }
  return found;
})()
