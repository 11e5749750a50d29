// The page of a results folder. What it shows comes from the JSON below the page and reaches it as text, never as HTML.
(() => {
  "use strict";
  const read = new Map();
  const data = (id) => {
    const place = document.getElementById(id);
    if (!read.has(id)) read.set(id, place && JSON.parse(place.textContent));
    return read.get(id);
  };

  /** The same of what is kept as gzip in base64: a promise. */
  const unzipped = (id) => {
    if (!read.has(id)) {
      const packed = Uint8Array.from(atob(document.getElementById(id).textContent), (letter) => letter.charCodeAt(0));
      const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
      read.set(id, new Response(stream).json());
    }
    return read.get(id);
  };

  /** An element with attributes (or, as `on…`, listeners) and children: elements or texts. */
  const make = (tag, about = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(about)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (name === "style") Object.assign(made.style, value);
      else made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  };

  const KINDS = { f4: Float32Array, u1: Uint8Array, u2: Uint16Array, i4: Int32Array };
  /** Numbers that were packed as base64, little-endian. */
  const numbers = ({ kind, packed }) =>
    new KINDS[kind](Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0)).buffer);

  const decimals = (value, digits) => (Number.isFinite(value) ? value.toFixed(digits) : "∞");
  const percent = (share) => `${(100 * share).toFixed(share > 0 && share < 0.0995 ? 1 : 0)} %`;

  // -- the images of a study ------------------------------------------------------------------------------------------

  class Items {
    constructor(k) {
      const about = data(`items-${k}`);
      Object.assign(this, about, { k, item: numbers(about.item), votes: about.votes && numbers(about.votes) });
      const unpack = ({ classes, shares }) => ({ classes: numbers(classes), shares: numbers(shares) });
      this.reference = unpack(about.reference);
      this.predicted = about.predicted.map(unpack);
      this.kl = about.kl.map(numbers);
      this.apart = numbers(about.apart);
      this.sheets = [];
    }

    name(row) {
      return this.names ? this.names[row] : `item ${this.item[row]}`;
    }

    /** Class names and shares of an item, the largest first; what the page does not keep as "others". */
    shares(of, row) {
      const found = [];
      let rest = 1;
      for (let k = row * this.top; k < (row + 1) * this.top; k++) {
        const share = of.shares[k] / 65535;
        rest -= share;
        if (share >= 0.0005) found.push([this.classes[of.classes[k]], share, this.colours[of.classes[k]]]);
      }
      if (rest > 0.005 && this.classes.length > this.top) found.push(["others", rest, "#999999"]);
      return found;
    }

    /** A picture of an item whose longer side has `size` pixels, or nothing where the page has none. */
    picture(row, size) {
      if (!this.tiles) return null;
      const { width, height, columns, rows } = this.tiles;
      const each = columns * rows;
      const sheet = Math.floor(row / each);
      const place = row % each;
      const scale = size / Math.max(width, height);
      const made = make("div", { class: "thumb", role: "img", "aria-label": `image ${this.name(row)}` });
      this.sheets[sheet] ??= document.getElementById(this.tiles.sheets[sheet]).textContent;
      const many = Math.min(each, this.item.length - sheet * each);
      Object.assign(made.style, {
        width: `${width * scale}px`,
        height: `${height * scale}px`,
        backgroundImage: `url(${this.sheets[sheet]})`,
        backgroundSize: `${columns * width * scale}px ${Math.ceil(many / columns) * height * scale}px`,
        backgroundPosition: `-${(place % columns) * width * scale}px -${Math.floor(place / columns) * height * scale}px`,
      });
      return made;
    }

    /** What the page knows of an item: the reference, and what networks of some labels (by index) predict. */
    card(row, labels) {
      const list = make("dl");
      const add = (name, of, kl) => {
        list.append(make("dt", {}, name, kl === undefined ? "" : make("small", {}, ` KL ${decimals(kl, 3)}`)));
        const bars = this.shares(of, row).map(([text, share, colour]) =>
          make("span", { class: "share" },
            make("i", { style: { width: `${100 * share}%`, background: colour } }),
            make("b", {}, make("bdi", {}, text), ` ${percent(share)}`)),
        );
        list.append(make("dd", {}, ...bars));
      };
      add(this.votes ? `${this.votes[row].toLocaleString("en")} votes` : "true distribution", this.reference);
      for (const k of labels) add(`network of ${this.labels[k]} labels`, this.predicted[k], this.kl[k][row]);
      const picture = this.picture(row, 128);
      return make("article", {}, make("h4", {}, this.name(row)), picture ?? make("span"), list);
    }
  }
  const items = new Map();
  const itemsOf = (k) => items.get(k) ?? items.set(k, new Items(k)).get(k);

  // -- maps -------------------------------------------------------------------------------------------------------------

  const shows = new Map(); // by box: a promise of what shows an item on its map

  const start = async (box) => {
    const k = box.dataset.study;
    const map = data(`map-${k}`);
    const places = [...box.querySelectorAll(".plot")];
    const roots = {};
    map.roots.forEach((id, side) => {
      places[side].id = `plot-${k}-${side}`;
      roots[id] = places[side].id;
    });
    const views = await Bokeh.embed.embed_items({ map: map.document }, [{ docid: "map", roots, root_ids: map.roots }]);
    const found = Bokeh.documents.find((one) => one.get_model_by_id(map.roots[0]));
    const points = found.get_model_by_name("points-data");
    const rings = found.get_model_by_name("rings-data");
    const plots = map.roots.map((id) => found.get_model_by_id(id));
    const looked = box.querySelector(".looked");
    const coordinates = Object.keys(rings.data);
    const sides = [...box.querySelectorAll("select[data-side]")];
    const networks = () => sides.map((side) => itemsOf(k).labels.indexOf(map.labels[side.value]));
    let last;

    const show = (row) => {
      if (row === undefined) return;
      last = row;
      rings.data = Object.fromEntries(coordinates.map((name) => [name, [points.data[name][row]]]));
      looked.replaceChildren(itemsOf(k).card(row, networks()));
      looked.dataset.item = itemsOf(k).item[row];
    };
    // Of the points below the pointer, the nearest in the plot that it is in.
    points.inspect.connect(([renderer, { geometry }]) => {
      const [xs, ys] = [points.data[renderer.glyph.x.field], points.data[renderer.glyph.y.field]];
      const far = (row) => Math.hypot(xs[row] - geometry.x, ys[row] - geometry.y);
      const met = [...points.inspected.indices];
      if (met.length) show(met.reduce((best, row) => (far(row) < far(best) ? row : best)));
    });
    points.selected.properties.indices.change.connect(() => show(points.selected.indices[0]));
    sides.forEach((select) =>
      select.addEventListener("change", () => {
        const plot = plots[select.dataset.side];
        for (const renderer of plot.renderers)
          Object.assign(renderer.glyph, { x: { field: `x${select.value}` }, y: { field: `y${select.value}` } });
        const extent = (name) => {
          let [low, high] = [Infinity, -Infinity];
          for (const value of points.data[name]) [low, high] = [Math.min(low, value), Math.max(high, value)];
          return [low, high];
        };
        const [x, y] = [extent(`x${select.value}`), extent(`y${select.value}`)];
        const half = Math.max(x[1] - x[0], y[1] - y[0], 1e-6) * 0.54;
        const around = ([low, high]) => ({ start: (low + high) / 2 - half, end: (low + high) / 2 + half });
        plot.x_range.setv(around(x));
        plot.y_range.setv(around(y));
        show(last);
      }),
    );
    box.querySelector("select[data-colour]")?.addEventListener("change", (event) => {
      for (const plot of plots)
        for (const renderer of plot.renderers)
          if (renderer.name === "points") renderer.glyph.fill_color = { field: event.target.value };
    });
    box.dataset.ready = views.length;
    return show;
  };
  /** Show an item on the map of a study, which starts now if it has not yet. */
  const showOnMap = async (box, row) => {
    box.scrollIntoView({ block: "center" });
    if (!shows.has(box)) shows.set(box, start(box));
    (await shows.get(box))(row);
  };

  // -- all images -------------------------------------------------------------------------------------------------------

  const list = (box) => {
    const of = itemsOf(box.dataset.study);
    const first = (which) => (value, type, row) => {
      const [[text, share]] = of.shares(which, row.k);
      return type === "display" ? make("span", {}, make("bdi", {}, text), ` ${percent(share)}`) : type === "sort" ? text + share : text;
    };
    const number = (values, digits) => (value, type, row) =>
      type === "display" ? make("span", {}, decimals(values[row.k], digits)) : values[row.k];
    const name = (value, type, row) => {
      if (type !== "display") return of.name(row.k);
      const map = document.querySelector(`.map[data-study="${of.k}"]`);
      return map
        ? make("button", { class: "n", type: "button", onclick: () => showOnMap(map, row.k) }, of.name(row.k))
        : make("span", {}, of.name(row.k));
    };
    const columns = [
      ...(of.tiles ? [{ title: "image", orderable: false, searchable: false,
        render: (value, type, row) => (type === "display" ? of.picture(row.k, Math.min(64, of.tiles.width)) : "") }] : []),
      { title: "image’s name", render: name },
      ...(of.votes ? [{ title: "votes", className: "r", render: number(of.votes, 0) }] : []),
      { title: of.votes ? "share of the votes" : "true distribution", render: first(of.reference) },
      ...of.labels.flatMap((label, k) => [
        { title: `${label}: predicts`, render: first(of.predicted[k]) },
        { title: `${label}: KL`, className: "r", render: number(of.kl[k], 3) },
      ]),
      { title: "apart", className: "r", render: number(of.apart, 3) },
    ].map((column) => ({ data: null, defaultContent: "", ...column, title: escaped(column.title) }));
    new DataTable(box.querySelector("table"), {
      data: Array.from(of.item, (item, k) => ({ k })),
      columns,
      order: [[columns.length - 1, "desc"]],
      deferRender: true,
      autoWidth: false,
      pageLength: 10,
      lengthMenu: [10, 25, 50, 100],
    });
    box.dataset.ready = of.item.length;
  };
  const escaped = (text) => make("span", {}, text).innerHTML; // titles are HTML to DataTables

  // -- where a number comes from ----------------------------------------------------------------------------------------

  const dialog = document.getElementById("chain");
  const facts = (of) => {
    const rows = Object.entries(of).map(([key, value]) =>
      make("tr", {}, make("td", {}, key), make("td", {}, String(value))));
    return rows.length ? make("div", { class: "wide" }, make("table", {}, make("tbody", {}, ...rows))) : "";
  };
  /** What a node of the graph says, and what is below it; a job is told with the file that it wrote. */
  const told = (graph, id, more = {}) => {
    const about = graph.nodes[id];
    return [facts({ ...more, ...about.facts }), ...about.below.flatMap((below) =>
      graph.nodes[below].name.startsWith("job ") ? told(graph, below) : [node(graph, below)])];
  };
  /** A node that is told when it is opened: what is below it may be told in many places. */
  const node = (graph, id, more) => {
    const made = make("details", {}, make("summary", {}, graph.nodes[id].name));
    made.addEventListener("toggle", () => made.append(...told(graph, id, more)), { once: true });
    return made;
  };
  const explain = async (k, cell) => {
    const graph = await unzipped(`graph-${k}`);
    const about = graph.cells[cell];
    const runs = about.runs.map(([id, side, value]) => {
      const more = {};
      if (side) more.side = side;
      if (value !== null) more.value = value;
      return node(graph, id, more);
    });
    const metric = about.metric === null ? [] : [node(graph, about.metric)];
    const tables = node(graph, graph.tables);
    dialog.querySelector("h2").textContent = about.title;
    dialog.querySelector("div").replaceChildren(facts(about.facts), ...runs, ...metric, tables);
    dialog.showModal();
  };

  // -- all together -----------------------------------------------------------------------------------------------------

  document.documentElement.classList.add("live");
  document.addEventListener("click", (event) => {
    const number = event.target.closest("button[data-cell]");
    const graph = number && document.getElementById(`graph-${number.closest("section").dataset.study}`);
    if (graph) explain(number.closest("section").dataset.study, Number(number.dataset.cell));
    if (event.target === dialog) dialog.close(); // outside of its content
    if (event.target.matches("figure img")) event.target.parentElement.classList.toggle("large");
  });
  const maps = new IntersectionObserver((seen) => {
    for (const { isIntersecting, target } of seen)
      if (isIntersecting) {
        maps.unobserve(target);
        if (!shows.has(target)) shows.set(target, start(target));
      }
  }, { rootMargin: "300px" });
  document.querySelectorAll(".map").forEach((box) => maps.observe(box));
  document.querySelectorAll(".items").forEach((box) =>
    box.addEventListener("toggle", () => box.open && !box.dataset.ready && list(box)));
})();
