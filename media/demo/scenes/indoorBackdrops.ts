import type { Box, Canvas } from './canvas.ts';
import { tenth } from './canvas.ts';
import { floating, standing, type Zones } from './zones.ts';

interface RoomColours {
  wall: readonly [string, string];
  stripe: string;
  floor: readonly string[];
  rug: readonly [string, string];
}

export function livingRoom(canvas: Canvas): Zones {
  return drawRoom(canvas, {
    wall: ['#cfe0d6', '#dfeae2'],
    stripe: '#bcd3c6',
    floor: ['#b98253', '#c48d5d', '#ad7748'],
    rug: ['#c95d5d', '#f0d3a8'],
  });
}

export function playroom(canvas: Canvas): Zones {
  return drawRoom(canvas, {
    wall: ['#ffe3b8', '#fff0d6'],
    stripe: '#ffd597',
    floor: ['#d9b083', '#e0b98d', '#cfa274'],
    rug: ['#5c9ecf', '#d8ecf7'],
  });
}

export function partyRoom(canvas: Canvas): Zones {
  const zones = drawRoom(canvas, {
    wall: ['#d9c8f0', '#e9def8'],
    stripe: '#cab5e8',
    floor: ['#a86f5a', '#b57a64', '#9b644f'],
    rug: ['#e58fb0', '#fbe3ec'],
  });
  drawBunting(canvas, 0.05 * canvas.height);
  return zones;
}

function drawRoom(canvas: Canvas, colours: RoomColours): Zones {
  const { width, height } = canvas;
  const foot = 0.66 * height;
  canvas.rect({ left: 0, top: 0, width, height: foot }, canvas.gradient(...colours.wall));
  for (let x = 0; x < width; x += 44) {
    canvas.rect({ left: x, top: 0, width: 16, height: foot }, colours.stripe, { opacity: 0.6 });
  }
  const pane = 0.3 * Math.min(width, height);
  drawWindow(canvas, { left: 0.36 * width - pane / 2, top: 0.14 * height, width: pane, height: pane * 1.05 });
  drawFloor(canvas, foot, colours.floor);
  canvas.rect({ left: 0, top: foot - 12, width, height: 13 }, '#fffaf0');
  canvas.rect({ left: 0, top: foot, width, height: 5 }, '#000000', { opacity: 0.16 });
  const centre = { x: width / 2, y: 0.86 * height };
  canvas.ellipse(centre, 0.4 * width, 0.1 * height, colours.rug[0]);
  canvas.ellipse(centre, 0.36 * width, 0.085 * height, colours.rug[1]);
  canvas.ellipse(centre, 0.31 * width, 0.068 * height, colours.rug[0], 0.85);
  return { wall: floating(canvas, 0.04, 0.5), ground: standing(canvas, 0.7, 0.96, 0.8) };
}

function drawWindow(canvas: Canvas, box: Box): void {
  const frame = box.width * 0.06;
  canvas.rect(
    {
      left: box.left - frame,
      top: box.top - frame,
      width: box.width + 2 * frame,
      height: box.height + 2 * frame,
    },
    '#fffdf7',
    { radius: 3 },
  );
  canvas.rect(box, canvas.gradient('#86c5f2', '#dff2fd'));
  const hill = `M${tenth(box.left)} ${tenth(box.top + box.height)}v${tenth(-box.height * 0.2)}q${tenth(box.width / 2)} ${tenth(-box.height * 0.22)} ${tenth(box.width)} 0v${tenth(box.height * 0.2)}z`;
  canvas.fill(hill, '#86bf72');
  canvas.rect({ ...box, left: box.left + box.width / 2 - frame / 3, width: frame / 1.5 }, '#fffdf7');
  canvas.rect({ ...box, top: box.top + box.height / 2 - frame / 3, height: frame / 1.5 }, '#fffdf7');
  canvas.rect(
    {
      left: box.left - 2 * frame,
      top: box.top + box.height + frame,
      width: box.width + 4 * frame,
      height: frame,
    },
    '#e5dccb',
  );
}

function drawFloor(canvas: Canvas, top: number, colours: readonly string[]): void {
  const { width, height, random } = canvas;
  const spread = 1.8;
  for (let x = -width; x < 2 * width; x += 48) {
    const near = (at: number) => (at - width / 2) * spread + width / 2;
    canvas.polygon(
      [
        { x, y: top },
        { x: x + 48, y: top },
        { x: near(x + 48), y: height },
        { x: near(x), y: height },
      ],
      random.pick(colours),
    );
    canvas.line(`M${tenth(x)} ${tenth(top)}L${tenth(near(x))} ${height}`, {
      colour: '#5c3a20',
      width: 1,
      opacity: 0.4,
    });
  }
}

function drawBunting(canvas: Canvas, top: number): void {
  const { width } = canvas;
  const sag = (x: number) => top + 0.07 * canvas.height * (1 - ((2 * x) / width - 1) ** 2);
  canvas.line(
    `M0 ${tenth(top)}Q${tenth(width / 2)} ${tenth(top + 0.14 * canvas.height)} ${width} ${tenth(top)}`,
    {
      colour: '#7a6a8f',
      width: 2,
    },
  );
  const flags = ['#f2677a', '#ffd25c', '#5cc0a8', '#5c9ee5', '#f59a4d'];
  for (let x = 8, i = 0; x < width - 24; x += 34, i++) {
    const points = [
      { x, y: sag(x) },
      { x: x + 24, y: sag(x + 24) },
      { x: x + 12, y: sag(x + 12) + 28 },
    ];
    canvas.polygon(points, flags[i % flags.length]!);
  }
}

/** A tiled wall behind a worktop. */
export function kitchen(canvas: Canvas): Zones {
  const { width, height, random } = canvas;
  const top = 0.6 * height;
  canvas.rect({ left: 0, top: 0, width, height: top }, '#c9d3d6');
  const tile = 40;
  for (let y = top - tile; y > -tile; y -= tile) {
    for (let x = -10; x < width; x += tile) {
      const box = { left: x + 1.5, top: y + 1.5, width: tile - 3, height: tile - 3 };
      canvas.rect(box, random.pick(['#f1f6f6', '#e8f0f1', '#f6f9f9', '#ddebed', '#cfe4e8']), { radius: 2 });
    }
  }
  drawWorktop(canvas, top, '#b98a5c', '#d6a878', '#f0ece4');
  return { wall: floating(canvas, 0.04, 0.4), ground: standing(canvas, 0.68, 0.86, 0.85) };
}

/** A plain wall with a pinboard behind a desk. */
export function office(canvas: Canvas): Zones {
  const { width, height, random } = canvas;
  const top = 0.62 * height;
  canvas.rect({ left: 0, top: 0, width, height: top }, canvas.gradient('#b8cbd9', '#d3dfe8'));
  const board = { left: 0.56 * width, top: 0.08 * height, width: 0.34 * width, height: 0.34 * height };
  canvas.rect(
    {
      ...board,
      left: board.left - 5,
      top: board.top - 5,
      width: board.width + 10,
      height: board.height + 10,
    },
    '#8a6038',
  );
  canvas.rect(board, '#d0a56f');
  for (let i = 0; i < 4; i++) {
    const note = {
      left: board.left + (0.06 + 0.235 * i) * board.width,
      top: board.top + random.between(0.12, 0.45) * board.height,
    };
    canvas.rect(
      { ...note, width: 0.17 * board.width, height: 0.17 * board.width },
      random.pick(['#fff2a8', '#ffc9d6', '#c4f0d0', '#cfe3ff']),
    );
  }
  drawWorktop(canvas, top, '#8a6a50', '#a8866a', '#5c5048');
  return { wall: floating(canvas, 0.04, 0.4), ground: standing(canvas, 0.72, 0.87, 0.85) };
}

function drawWorktop(canvas: Canvas, top: number, far: string, near: string, front: string): void {
  const { width, height, random } = canvas;
  canvas.rect({ left: 0, top, width, height: 0.3 * height }, canvas.gradient(far, near));
  for (let i = 0; i < 26; i++) {
    const [x, y] = [random.between(-60, width), top + random.between(0.01, 0.29) * height];
    const length = random.between(40, 160);
    canvas.line(`M${tenth(x)} ${tenth(y)}q${tenth(length / 2)} 4 ${tenth(length)} 0`, {
      colour: '#5c3a1c',
      width: 1.2,
      opacity: 0.28,
    });
  }
  canvas.rect({ left: 0, top: 0.9 * height, width, height: 0.1 * height }, front);
  canvas.rect({ left: 0, top: 0.9 * height, width, height: 6 }, '#000000', { opacity: 0.2 });
  canvas.rect({ left: 0, top, width, height: 8 }, '#000000', { opacity: 0.16 });
}

/** Three boards on a wall; one zone a board. */
export function shelves(canvas: Canvas): Zones {
  const { width, height } = canvas;
  canvas.rect({ left: 0, top: 0, width, height }, canvas.gradient('#5c8a8f', '#4a7278'));
  const zones: Zones = {};
  for (const [name, level] of Object.entries({ upper: 0.31, middle: 0.62, lower: 0.93 })) {
    canvas.rect({ left: 0, top: level * height + 14, width, height: 26 }, canvas.glow('#000000', 0.3));
    canvas.rect({ left: 0, top: level * height - 5, width, height: 8 }, '#e0b888');
    canvas.rect({ left: 0, top: level * height + 3, width, height: 14 }, '#b98a58');
    zones[name] = standing(canvas, level - 0.004, level, 1);
  }
  canvas.rect({ left: 0, top: 0, width: 12, height }, '#a87a4a');
  canvas.rect({ left: width - 12, top: 0, width: 12, height }, '#a87a4a');
  return zones;
}

/** A stage: curtains, boards and three cones of light. */
export function stage(canvas: Canvas): Zones {
  const { width, height } = canvas;
  const foot = 0.68 * height;
  canvas.rect({ left: 0, top: 0, width, height: foot }, canvas.gradient('#3a0f24', '#7a1f3a'));
  for (let x = 0; x < width; x += 36) {
    canvas.rect({ left: x, top: 0, width: 18, height: foot }, '#a82f4a', { opacity: 0.45 });
    canvas.rect({ left: x + 26, top: 0, width: 8, height: foot }, '#240816', { opacity: 0.4 });
  }
  drawFloor(canvas, foot, ['#8a5c38', '#96663f', '#7f5230']);
  for (const [x, colour] of [
    [0.2, '#ffd98a'],
    [0.5, '#fff3d1'],
    [0.8, '#ffc0d6'],
  ] as const) {
    const at = x * width;
    canvas.fill(
      `M${tenth(at - 10)} 0h20L${tenth(at + 0.17 * width)} ${tenth(0.84 * height)}H${tenth(at - 0.17 * width)}z`,
      colour,
      0.16,
    );
    canvas.ellipse({ x: at, y: 0.84 * height }, 0.17 * width, 0.07 * height, colour, 0.28);
  }
  return { ground: standing(canvas, 0.76, 0.95, 0.8) };
}

/** A sports hall: wall with a painted band, wooden court with lines. */
export function gym(canvas: Canvas): Zones {
  const { width, height } = canvas;
  const foot = 0.52 * height;
  canvas.rect({ left: 0, top: 0, width, height: foot }, canvas.gradient('#e3e8ee', '#cdd6e0'));
  canvas.rect({ left: 0, top: 0.3 * height, width, height: 0.08 * height }, '#3f7fc4');
  canvas.rect({ left: 0, top: 0.385 * height, width, height: 0.018 * height }, '#f2c14e');
  for (let x = 30; x < width; x += 110) {
    canvas.rect(
      { left: x, top: 0.07 * height, width: 70, height: 0.14 * height },
      canvas.gradient('#bfe3fa', '#eaf7ff'),
    );
  }
  drawFloor(canvas, foot, ['#d9a765', '#e0b070', '#d29d5a']);
  canvas.line(`M0 ${tenth(0.6 * height)}H${width}`, { colour: '#ffffff', width: 4, opacity: 0.9 });
  canvas.raw(
    `<ellipse cx="${tenth(width / 2)}" cy="${tenth(0.8 * height)}" rx="${tenth(0.3 * width)}" ry="${tenth(0.15 * height)}" fill="#3f7fc4" fill-opacity="0.25" stroke="#ffffff" stroke-width="4"/>`,
  );
  return { wall: floating(canvas, 0.04, 0.28), ground: standing(canvas, 0.64, 0.95, 0.65) };
}
