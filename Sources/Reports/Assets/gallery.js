"use strict";
// The data arrive by calls: lvo.index(…) from data/index.js, lvo.feature(…) from a feature's own script.
const lvo = (() => {
  const main = document.getElementById("main");
  const state = { query: "", sort: "clearest first", site: "all", onlyDreams: false, heat: false };
  let index = null, rows = [], order = [], waiting = {}, onKey = null, cleanUp = null;

  // Elements -------------------------------------------------------------------------------------------------------
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
    }
    for (const child of children.flat()) if (child !== null && child !== undefined) element.append(child);
    return element;
  }
  function svg(text) {
    const holder = make("div");
    holder.innerHTML = text;
    return holder;
  }
  function number(value) {
    if (value === null || value === undefined) return "–";
    if (value === 0) return "0";
    const size = Math.abs(value);
    return size >= 1e5 || size < 1e-3 ? value.toExponential(2) : String(Number(value.toPrecision(3)));
  }
  const spoken = name => name.replaceAll("_", " ");
  // In this order, wherever measures are listed.
  const meanings = {
    recognized: "share of results in which an independent judge sees what ten of the twelve strongest examples share",
    recognized_of_examples: "the same of those examples",
    recognized_of_others: "the same of random pictures: chance",
    identification: "share of results that other layers find more like its own examples than like those of 15 other features",
    identification_of_examples: "the same of the examples, each left out in turn; they show other things too",
    identification_by_chance: "the same by guessing",
    naturalness: "share of the dataset's pictures whose noise the model predicts no better; half for a middling picture",
    retention: "share of the activation that is left when the picture is encoded again",
    retention_of_others: "activation of random pictures, as such a share: chance",
    second_retention: "activation of the most similar feature of another seed's autoencoder on the result, as a share of its own",
    second_retention_of_examples: "the same on its examples: compare",
    second_retention_of_others: "the same of random features of that autoencoder: chance",
    second_cosine: "how alike the two features' decoder rows are; 1: the same direction",
    causal_effect: "share of pictures in which the judge sees that value more when the feature is added while they are drawn",
    steered_recognized: "share of those pictures in which the judge sees it",
    causal_likeness: "share of those pictures that adding the feature makes more like its dream; chance is about one half",
    causal_likeness_of_others: "the same toward the examples of 15 other features: chance",
    reach: "activation of the result ÷ the largest in the dataset at the time step; above 1: beyond every picture",
    start_reach: "the same of the pictures that the dreams started from: what a dream adds is the difference",
    start_recognized: "share of those pictures in which the judge sees it",
    rank: "1: nothing else in the layer is more active on the result",
    z_score: "standard deviations above the mean over all features on the result",
    agreement: "cosine similarity with the strongest examples",
    agreement_with_others: "the same with random pictures: compare",
    stability: "smallest activation among the seeds ÷ the largest; 1: every seed arrives",
    constancy: "how alike its dreams at different time steps look to the other layers (cosine); small: it looks for other things early than late",
    constancy_of_others: "the same with other features' dreams at other time steps: chance",
    constancy_of_seeds: "the same among the results of one time step: the most to expect",
    diversity: "0: every seed shows the same; 1: they have nothing in common",
    diversity_of_others: "the same for random pictures",
    example_purity: "share of the strongest examples with one value of a known factor",
    dream_purity: "share of that value among the pictures nearest to the result",
    active_share: "largest share of pictures in which it is among the strongest",
    largest_activation: "largest activation in the dataset",
  };
  const headings = {
    clear: "What it looks for in a picture", tuned: "What it looks for", paper: "What it looks for with the paper's settings",
  };
  const heading = way => headings[way] ?? "What it looks for, " + way;
  const place = name => (Object.keys(meanings).indexOf(name) + 100) % 100;
  const ordered = values => Object.fromEntries(Object.entries(values).sort((a, b) => place(a[0]) - place(b[0])));
  const link = row => "#/" + row.key;

  // Index ------------------------------------------------------------------------------------------------------------
  function rowsOf(data) {
    const c = data.columns;
    return c.index.map((number, i) => {
      const site = data.sites[c.site[i]];
      return {
        i, number, site, key: site + "/" + number, words: c.words[i], peaks: c.peaks[i], dreams: c.dreams[i],
        clarity: c.clarity[i], doubts: c.doubts[i], thumbnail: c.thumbnail[i], dream: c.dream_thumbnail[i], text: (number + " " + c.words[i] + " " + site).toLowerCase(),
      };
    });
  }
  function select() {
    const terms = state.query.toLowerCase().split(/\s+/).filter(Boolean).map(term => term.replace(/^#/, ""));
    const found = rows.filter(row =>
      (state.site === "all" || row.site === state.site) && (!state.onlyDreams || row.dreams.length) &&
      terms.every(term => /^\d+$/.test(term) ? String(row.number) === term : row.text.includes(term)));
    const values = index.columns.measures[state.sort];
    if (values) found.sort((a, b) => (values[b.i] ?? -Infinity) - (values[a.i] ?? -Infinity) || a.i - b.i);
    if (state.sort === "clearest first") found.sort((a, b) => (b.clarity ?? -2) - (a.clarity ?? -2) || a.i - b.i);
    if (state.sort === "first peak") found.sort((a, b) => (a.peaks[0] ?? 1e9) - (b.peaks[0] ?? 1e9) || a.i - b.i);
    order = found;
  }
  function facts(row) {
    const measures = index.columns.measures;
    const shown = Object.keys(measures).filter(name => measures[name][row.i] !== null);
    const first = ["active_share", "largest_activation", "reach", "identification", "recognized", state.sort];
    shown.sort((a, b) => first.lastIndexOf(b) - first.lastIndexOf(a));
    return shown.slice(0, row.dream ? 1 : 3).map(name => spoken(name) + " " + number(measures[name][row.i])).join(" · ");
  }
  function badge(doubts) {
    return doubts.length ? make("span", { class: "badge", title: "Not to be trusted: " + doubts.join("; ") }, "doubtful") : null;
  }
  function card(row) {
    const kind = row.site.endsWith("/channels") ? "channel " : "";
    return make("a", { class: "card", href: link(row), title: row.site },
      row.dream ? make("img", { src: row.dream, alt: "a dream", title: "what it looks for", loading: "lazy" }) : null,
      row.thumbnail ? make("img", { src: row.thumbnail, alt: "an example", title: "where it was most active", loading: "lazy" })
        : make("span", { class: "none" }),
      make("div", {}, make("b", {}, kind + row.number), " ", badge(row.doubts),
        make("div", { class: "words" }, row.words || "\u00a0"),
        make("div", { class: "soft" }, facts(row)),
        make("div", { class: "soft" }, row.peaks.length ? "peaks " + row.peaks.join(", ") : "never active")));
  }
  function showIndex() {
    document.title = index.title;
    const count = make("span", { class: "soft", id: "count" });
    const grid = make("div", { class: "grid" });
    const search = make("input", {
      type: "search", id: "search", placeholder: "Search words or numbers ( / )", value: state.query,
      "aria-label": "Search", oninput: event => { state.query = event.target.value; update(); },
    });
    const names = Object.keys(index.columns.measures);
    const sort = make("select", { "aria-label": "Sort", onchange: e => { state.sort = e.target.value; update(); } },
      ["clearest first", "", "first peak", ...names].map(name => make("option", { value: name, selected: name === state.sort },
        name === "clearest first" ? name : name ? "by " + spoken(name) : "by number")));
    const site = make("select", { "aria-label": "Layer", onchange: e => { state.site = e.target.value; update(); } },
      ["all", ...index.sites].map(name => make("option", { value: name, selected: name === state.site },
        name === "all" ? "all layers" : name)));
    const dreams = make("button", {
      "aria-pressed": state.onlyDreams, onclick: () => {
        state.onlyDreams = !state.onlyDreams;
        dreams.setAttribute("aria-pressed", state.onlyDreams);
        update();
      },
    }, "with dreams");
    main.replaceChildren(make("div", { class: "bar" }, search, sort, site, dreams, count), grid);

    // Only the cards in view exist: thousands would take seconds.
    const height = 116, gap = 10;
    let drawn = "";
    function draw() {
      const width = grid.clientWidth, columns = Math.max(1, Math.floor((width + gap) / (300 + gap)));
      const cardWidth = (width - gap * (columns - 1)) / columns, top = grid.getBoundingClientRect().top;
      const first = Math.max(0, Math.floor(-top / (height + gap)) - 2);
      const last = Math.ceil((innerHeight - top) / (height + gap)) + 2;
      const signature = [first, last, columns, width].join();
      if (signature === drawn) return;
      drawn = signature;
      grid.style.height = Math.ceil(order.length / columns) * (height + gap) + "px";
      const cards = [];
      for (let i = first * columns; i < Math.min(order.length, last * columns); i++) {
        const element = card(order[i]);
        element.style.cssText = `width:${cardWidth}px;height:${height}px;left:${(i % columns) * (cardWidth + gap)}px;` +
          `top:${Math.floor(i / columns) * (height + gap)}px`;
        cards.push(element);
      }
      grid.replaceChildren(...cards);
    }
    function update() {
      select();
      count.textContent = order.length === rows.length ? `${rows.length}` : `${order.length} of ${rows.length}`;
      drawn = "";
      draw();
    }
    update();
    scrollTo(0, state.scroll ?? 0);
    draw();
    addEventListener("scroll", draw, { passive: true });
    addEventListener("resize", draw);
    cleanUp = () => {
      state.scroll = scrollY;
      removeEventListener("scroll", draw);
      removeEventListener("resize", draw);
    };
    onKey = key => {
      if (key === "/") { search.focus(); return true; }
      if (key === "Enter" && order.length) { location.hash = link(order[0]); return true; }
    };
  }

  // A feature --------------------------------------------------------------------------------------------------------
  function load(key) {
    main.replaceChildren(make("p", { class: "soft" }, "Loading …"));
    waiting[key] = show;
    onKey = pressed => { if (pressed === "Escape") location.hash = "#/"; };
    const script = make("script", { src: "data/" + key + ".js" });
    script.onerror = () => main.replaceChildren(make("p", {}, "There are no data for " + key + "."));
    script.onload = () => script.remove();
    document.head.append(script);
  }
  function feature(key, data, charts) {
    const show = waiting[key];
    delete waiting[key];
    if (show && decodeURIComponent(location.hash.slice(2)) === key) show(data, charts);
  }
  function figure(picture, heat, ...caption) {
    return make("figure", {},
      make("a", { href: picture, class: "over" }, make("img", { src: picture, alt: "", loading: "lazy" }), heat),
      make("figcaption", {}, ...caption));
  }
  // Shows one cell of a picture of columns × rows equal cells as an element's background.
  function showCell(element, picture, column, columns, row, rows) {
    element.style.backgroundImage = `url("${picture}")`;
    element.style.backgroundSize = `${columns * 100}% ${rows * 100}%`;
    element.style.backgroundPosition = `${columns > 1 ? column / (columns - 1) * 100 : 0}% ` +
      `${rows > 1 ? row / (rows - 1) * 100 : 0}%`;
  }
  // Layers for pictures that show where they excite the feature, and what to call with the time step.
  function heatMaps(maps, sheet, count) {
    const layers = Array.from({ length: sheet ? count : 0 }, () => make("div", { class: "heat" }));
    return {
      layers,
      at(timestep) {
        const row = maps.timesteps.indexOf(timestep);
        layers.forEach((layer, i) => showCell(layer, sheet.picture, i, count, row, maps.timesteps.length));
        return sheet && row >= 0 ? `${number(sheet.lowest[row])} … ${number(sheet.largest[row])}` : "";
      },
    };
  }
  function table(values) {
    return make("table", {}, Object.entries(values).map(([name, value]) =>
      make("tr", {}, make("td", { title: meanings[name] }, spoken(name)),
        make("td", { class: typeof value === "number" ? "number" : "" },
          typeof value === "string" ? value : typeof value === "object" && value ? JSON.stringify(value)
            : typeof value === "boolean" ? String(value) : number(value)))));
  }
  function section(title, ...children) { return make("section", {}, make("h2", {}, title), ...children); }

  function dreamView(dream, chart, maps) {
    const heat = heatMaps(maps, maps.dreams, dream.seeds.length);
    const range = heat.at(dream.timestep);
    const frames = dream.seeds.map((_, i) => make("div", { class: "frame over", role: "img" }, heat.layers[i]));
    const output = make("output");
    const companions = dream.companions ?? [];
    const columns = dream.steps.length, seeds = dream.seeds.length;
    const slider = make("input", {
      type: "range", min: 0, max: columns - 1, value: columns - 1, "aria-label": "Step of the optimization",
      oninput: () => move(),
    });
    const graph = svg(chart), picture = graph.firstElementChild;
    const cursor = document.createElementNS("http://www.w3.org/2000/svg", "line");
    cursor.setAttribute("class", "cursor");
    cursor.setAttribute("y1", 26);
    cursor.setAttribute("y2", picture.viewBox.baseVal.height - 38);
    picture.append(cursor);
    const notes = dream.seeds.map(() => make("span", { class: "soft" }));
    function move() {
      const column = Number(slider.value), step = dream.steps[column], d = picture.dataset;
      output.textContent = "step " + step;
      frames.forEach((frame, row) => {
        showCell(frame, dream.history, column, columns, row, seeds);
        // The map is that of the result.
        if (heat.layers[row]) heat.layers[row].hidden = column < columns - 1;
        const values = dream.activations[row];
        notes[row].textContent = " " + number(values[Math.min(step, values.length - 1)]);
      });
      const share = d.high > d.low ? (Math.min(step, d.high) - d.low) / (d.high - d.low) : 1;
      const x = Number(d.left) + share * (d.right - d.left);
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
    }
    let timer = null;
    const play = make("button", { onclick: () => timer ? pause() : start(), title: "Play (space)" }, "▶");
    function pause() { clearInterval(timer); timer = null; play.textContent = "▶"; }
    function start() {
      if (Number(slider.value) === columns - 1) slider.value = 0;
      move();
      play.textContent = "❚❚";
      timer = setInterval(() => {
        if (!play.isConnected || Number(slider.value) >= columns - 1) return pause();
        slider.value = Number(slider.value) + 1;
        move();
      }, 180);
    }
    move();
    const view = make("div", {},
      dream.doubts.length ? make("p", {}, badge(dream.doubts), make("span", { class: "soft" }, " " + dream.doubts.join("; "))) : "",
      make("div", { class: "ways" }, make("div", {},
        companions.length ? make("h3", {}, heading(dream.way)) : null,
        make("div", { class: "pictures" }, dream.seeds.map((seed, i) => make("figure", {},
          make("a", { href: dream.pictures[i], title: "Full size" }, frames[i]),
          make("figcaption", {}, make("span", { style: `color:var(--series-${i % 8 + 1})` }, "seed " + seed), notes[i]))))),
        companions.map(companionView)),
      make("div", { class: "slider" }, play, slider, output,
        dream.animation ? make("a", { href: dream.animation }, "animation") : null),
      make("div", { class: "columns" }, graph, make("div", {},
        companions.length ? comparison([dream, ...companions]) : table(ordered(dream.measures)),
        make("details", {}, make("summary", {}, "Settings"), table(dream.settings)))),
      make("div", { class: "soft" }, "Again: ",
        make("button", { onclick: e => copy(dream.command, e.target) }, "copy"), make("pre", {}, dream.command)));
    view.range = range;
    view.key = key => {
      if (key === " ") { play.click(); return true; }
      if (key !== "[" && key !== "]") return false;
      slider.value = Number(slider.value) + (key === "]" ? 1 : -1);
      move();
      return true;
    };
    return view;
  }
  // The dreams in the order in which a picture is drawn.
  function overTime(data, open) {
    const dreams = data.dreams.map((dream, i) => ({ dream, i })).sort((a, b) => b.dream.timestep - a.dream.timestep);
    const { constancy, constancy_of_others: others, constancy_of_seeds: seeds } = data.measures;
    if (dreams.length < 2) return "";
    return section("Early and late",
      make("div", { class: "times" }, dreams.map(({ dream, i }, k) => make("figure", {},
        make("button", { onclick: () => open(i), title: "Show this time step above" },
          dream.pictures.slice(0, 3).map(picture => make("img", { src: picture, alt: "a dream", loading: "lazy" }))),
        make("figcaption", {}, (k ? k === dreams.length - 1 ? "late, " : "" : "early, ") + "t = " + dream.timestep,
          make("span", { class: "soft" }, data.peaks.includes(dream.timestep) ? " peak" : "", " reach " + number(dream.measures.reach)))))),
      constancy === undefined ? "" : make("div", { class: "soft", id: "constancy", title: meanings.constancy },
        `How alike these are to the other layers: ${number(constancy)}; dreams of others ${number(others)}, ` +
        `results of one time step ${number(seeds)}.`));
  }
  // A dream that is there to be compared with.
  function companionView(dream) {
    return make("div", { class: "companion" }, make("h3", {}, heading(dream.way), " ", badge(dream.doubts)),
      make("div", { class: "pictures" }, dream.seeds.map((seed, i) => figure(dream.pictures[i], null, "seed " + seed))));
  }
  // The measures of a dream in its ways, a column each.
  function comparison(ways) {
    const names = Object.keys(ordered(Object.assign({}, ...ways.map(way => way.measures))));
    return make("table", { class: "comparison" },
      make("tr", {}, make("th"), ways.map(way => make("th", { class: "number", title: heading(way.way) }, way.way))),
      names.map(name => make("tr", {}, make("td", { title: meanings[name] }, spoken(name)),
        ways.map(way => make("td", { class: "number" }, number(way.measures[name]))))));
  }
  function copy(text, button) {
    const done = () => { button.textContent = "copied"; };
    // A page from a file may have no clipboard interface; the old command works everywhere.
    if (navigator.clipboard) return navigator.clipboard.writeText(text).then(done, () => {});
    const area = make("textarea", {}, text);
    document.body.append(area);
    area.select();
    if (document.execCommand("copy")) done();
    area.remove();
  }
  function show(data, charts) {
    const key = `${data.layer}/${data.space}/${data.index}`;
    if (!order.length) select();
    const at = order.findIndex(row => row.key === key);
    const neighbour = by => at < 0 ? null : order[at + by];
    const go = by => { const row = neighbour(by); if (row) location.hash = link(row); };
    const name = (data.space === "channels" ? "Channel " : "Feature ") + data.index;
    document.title = name + " – " + index.title;
    const holder = make("div");
    const maps = data.maps ?? { timesteps: [] };
    const heat = heatMaps(maps, maps.examples, data.examples.length), scale = make("span", { class: "soft" });
    const where = make("button", { "aria-pressed": state.heat, title: "Heat maps (h)", onclick: () => setHeat(!state.heat) },
      "where it is active");
    function setHeat(on) {
      state.heat = on;
      where.setAttribute("aria-pressed", on);
      main.classList.toggle("hot", on);
    }
    let current = null;
    const tabs = data.dreams.map((dream, i) => make("button", { onclick: () => open(i) }, "t = " + dream.timestep));
    function open(i) {
      tabs.forEach((tab, k) => tab.setAttribute("aria-pressed", i === k));
      current = dreamView(data.dreams[i], charts.histories[i], maps);
      holder.replaceChildren(current);
      const range = heat.at(data.dreams[i].timestep);
      scale.textContent = range ? ` Heat maps at t = ${data.dreams[i].timestep}: black to yellow is ${range} in the ` +
        `examples, ${current.range} in the dreams.` : "";
    }
    main.replaceChildren(
      make("div", { class: "top" }, make("h1", {}, name), make("span", { class: "soft" }, data.layer),
        make("span", {}, data.words.join(" · ")),
        make("span", { class: "moves" },
          make("button", { onclick: () => go(-1), disabled: !neighbour(-1), title: "Previous (← or k)" }, "←"),
          make("button", { onclick: () => go(1), disabled: !neighbour(1), title: "Next (→ or j)" }, "→"))),
      data.dreams.length ? section(data.dreams[0].companions?.length ? "What it looks for" : heading(data.dreams[0].way),
        make("div", { class: "bar" }, tabs, maps.dreams || maps.examples ? where : null), holder) : "",
      overTime(data, open),
      data.examples.length ? section("Where it was most active", make("div", { class: "pictures" },
        data.examples.map((example, i) => figure(example.picture, heat.layers[i], example.prompt, make("span",
          { class: "soft" }, ` — ${number(example.activation)} at t = ${example.timestep}, seed ${example.seed}`)))),
        scale) : "",
      section("When it is active", make("div", { class: "charts" }, svg(charts.activity), svg(charts.maximum)),
        make("div", { class: "soft" }, data.peaks.length ? "Peaks at " + data.peaks.join(", ") : "No peaks")),
      data.priors.length ? section("What it causes", make("div", { class: "pictures" },
        data.priors.map(prior => figure(prior.picture, null, "seed " + prior.seed)))) : "",
      data.steered?.length ? section("What it changes",
        make("div", { class: "soft" }, "Pictures of the dataset in which it was not active, and drawn again with it added."),
        make("div", { class: "pictures" }, data.steered.map(pair => make("figure", { class: "pair", title: pair.prompt },
          ["without", "with"].map(name => make("a", { href: pair[name] }, make("img", { src: pair[name], alt: name, loading: "lazy" }))),
          make("figcaption", {}, pair.prompt))))) : "",
      Object.keys(data.measures).length ? section("Measures",
        make("div", { class: "soft" }, "Means over its dreams."), table(ordered(data.measures))) : "");
    setHeat(state.heat);
    const clear = data.dreams.map(({ measures: { recognized, identification, reach } }) => {
      const known = [recognized, identification].filter(value => value !== null && value !== undefined);
      // Reach decides between equals.
      return known.reduce((sum, value) => sum + value / known.length, 0) + Math.min(reach ?? 0, 99) / 1e5;
    });
    if (tabs.length) open(clear.indexOf(Math.max(...clear)));
    onKey = key => {
      if (key === "ArrowLeft" || key === "k") { go(-1); return true; }
      if (key === "ArrowRight" || key === "j") { go(1); return true; }
      if (key === "Escape") { location.hash = "#/"; return true; }
      if (key === "h") { setHeat(!state.heat); return true; }
      if (/^[1-9]$/.test(key) && tabs[key - 1]) { open(key - 1); return true; }
      return current ? current.key(key) : false;
    };
  }

  // Other pages --------------------------------------------------------------------------------------------------------
  function showMeasures() {
    document.title = "Measures – " + index.title;
    const cell = value => make("td", { class: "number" }, number(value.median),
      value.count ? make("span", { class: "soft" },
        ` (${number(value.lower_quartile)} … ${number(value.upper_quartile)}; ${value.count})`) : "");
    main.replaceChildren(...index.summary.map(part => section(part.title, make("div", { class: "wide" },
      make("table", {},
        make("tr", {}, make("th", {}, "median (quartiles; count)"),
          part.columns.map(name => make("th", { class: "number" }, name)), make("th", {}, "meaning")),
        [...part.rows].sort((a, b) => place(a.name) - place(b.name)).map(row => make("tr", {},
          make("td", {}, spoken(row.name)), row.cells.map(cell), make("td", { class: "soft" }, meanings[row.name] ?? ""))))))),
      index.summary.length ? "" : make("p", {}, "Nothing has been measured yet."));
  }
  function showAbout() {
    document.title = "About – " + index.title;
    const keys = { "/": "search", "← → or k j": "previous, next", "1 … 9": "time step", "[ ]": "step of the optimization",
      "space": "play", "h": "heat maps: where it is active", "Esc": "back to all", "t": "light or dark" };
    main.replaceChildren(section("This study", table(index.facts)), section("Keys", table(keys)),
      section("For other programs", make("p", {}, "The same data as JSON: ",
        make("a", { href: "data/index.json" }, "data/index.json"), " and one file per feature beside it.")));
  }

  // Routing --------------------------------------------------------------------------------------------------------------
  function route() {
    if (!index) return;
    if (cleanUp) cleanUp();
    cleanUp = onKey = null;
    const path = decodeURIComponent(location.hash.slice(2));
    if (!path) return showIndex();
    scrollTo(0, 0);
    if (path === "measures") return showMeasures();
    if (path === "about") return showAbout();
    load(path);
  }
  function theme(dark) {
    document.documentElement.classList.toggle("dark", dark);
    try { localStorage.setItem("lvo-dark", dark ? "1" : "0"); } catch { /* a file's page may have no storage */ }
  }
  function storedTheme() {
    try { return localStorage.getItem("lvo-dark"); } catch { return null; }
  }
  const toggle = () => theme(!document.documentElement.classList.contains("dark"));
  const stored = storedTheme();
  if (stored === "1" || (stored === null && matchMedia("(prefers-color-scheme: dark)").matches)) {
    document.documentElement.classList.add("dark");
  }
  document.getElementById("theme").addEventListener("click", toggle);
  addEventListener("hashchange", route);
  addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const field = event.target.matches("input[type=search], select, textarea");
    if (field && event.key !== "Escape") return;
    if (field) return event.target.blur();
    if (event.target.matches("input[type=range]") && event.key.startsWith("Arrow")) return;
    if (event.target.matches("button, a") && (event.key === " " || event.key === "Enter")) return;
    if (event.key === "t") { toggle(); return; }
    if (onKey && onKey(event.key)) event.preventDefault();
  });
  return {
    index(data) { index = data; rows = rowsOf(data); route(); },
    feature,
  };
})();
