import type { Canvas, Point } from './canvas.ts';
import { tenth } from './canvas.ts';

/** Light of an outdoor scene. */
export type Light = 'day' | 'overcast' | 'sunset' | 'night';

/** How far the sky and mountains reach below the horizon, behind the uneven ground; a fraction of the picture. */
const OVERLAP = 0.05;

const skyColours: Record<Light, readonly string[]> = {
  day: ['#4fa8ec', '#9fd3f7', '#e4f4fd'],
  overcast: ['#9fb1c2', '#c4d0da', '#e3e8ec'],
  sunset: ['#4d4f8f', '#e0708a', '#ffb36b', '#ffe0a3'],
  night: ['#0b1030', '#1b2757', '#3d4a86'],
};

/** Fills the picture down to `horizon` with a sky, its sun or stars, and clouds. */
export function drawSky(canvas: Canvas, horizon: number, light: Light): void {
  canvas.rect(
    { left: 0, top: 0, width: canvas.width, height: horizon + OVERLAP * canvas.height },
    canvas.gradient(...skyColours[light]),
  );
  if (light === 'night') drawStars(canvas, horizon, 90);
  if (light === 'sunset') drawSun(canvas, horizon);
  if (light === 'day' && canvas.random.chance(0.7)) drawHighSun(canvas, horizon);
  const clouds = light === 'night' ? 2 : Math.round(2 + canvas.width / 180);
  for (let i = 0; i < clouds; i++) {
    const at = { x: ((i + canvas.random.between(0.1, 0.9)) / clouds) * canvas.width, y: 0 };
    at.y = canvas.random.between(0.08, 0.72) * horizon;
    drawCloud(canvas, at, canvas.random.between(0.16, 0.32) * Math.min(canvas.width, 560), light);
  }
}

export function drawStars(canvas: Canvas, height: number, count: number): void {
  for (let i = 0; i < count; i++) {
    const at = { x: canvas.random.between(0, canvas.width), y: canvas.random.between(0, height) };
    const radius = canvas.random.between(0.6, 2);
    canvas.ellipse(at, radius, radius, '#ffffff', canvas.random.between(0.35, 0.95));
  }
}

function drawSun(canvas: Canvas, horizon: number): void {
  const at = { x: canvas.random.between(0.2, 0.8) * canvas.width, y: horizon * 0.86 };
  const radius = 0.11 * Math.min(canvas.width, canvas.height);
  canvas.ellipse(at, radius * 3.2, radius * 3.2, canvas.glow('#fff2b8', 0.7));
  canvas.ellipse(at, radius, radius, '#fff3c4');
}

function drawHighSun(canvas: Canvas, horizon: number): void {
  const at = { x: canvas.random.pick([0.12, 0.86]) * canvas.width, y: horizon * 0.24 };
  const radius = 0.065 * Math.min(canvas.width, canvas.height);
  canvas.ellipse(at, radius * 3, radius * 3, canvas.glow('#fff7cf', 0.8));
  canvas.ellipse(at, radius, radius, '#ffe98a');
}

function drawCloud(canvas: Canvas, at: Point, width: number, light: Light): void {
  const colour = { day: '#ffffff', overcast: '#f4f6f8', sunset: '#ffd9cf', night: '#55629c' }[light];
  const opacity = light === 'night' ? 0.35 : 0.82;
  const height = width * 0.2;
  const puffs = 4;
  let path = '';
  for (let i = 0; i < puffs; i++) {
    const x = at.x + (i / (puffs - 1) - 0.5) * width * 0.62;
    const radius = width * (i === 0 || i === puffs - 1 ? 0.12 : canvas.random.between(0.16, 0.22));
    path += `M${tenth(x - radius)} ${tenth(at.y)}a${tenth(radius)} ${tenth(radius)} 0 1 1 ${tenth(radius * 2)} 0z`;
  }
  path += `M${tenth(at.x - width * 0.43)} ${tenth(at.y)}h${tenth(width * 0.86)}q0 ${tenth(height * 0.5)} ${tenth(-height * 0.5)} ${tenth(height * 0.5)}h${tenth(-width * 0.86 + height)}q${tenth(-height * 0.5)} 0 ${tenth(-height * 0.5)} ${tenth(-height * 0.5)}z`;
  canvas.fill(path, colour, opacity);
}

/** A smooth skyline from edge to edge around `level`, filled down to the bottom of the picture. */
export function drawRidge(
  canvas: Canvas,
  level: number,
  amplitude: number,
  bumps: number,
  fill: string,
): void {
  const step = canvas.width / bumps;
  const heights = Array.from(
    { length: bumps + 1 },
    () => level + canvas.random.between(-amplitude, amplitude),
  );
  let path = `M0 ${canvas.height}V${tenth(heights[0]!)}`;
  for (let i = 0; i < bumps; i++) {
    const middle = tenth((i + 0.5) * step);
    path += `C${middle} ${tenth(heights[i]!)} ${middle} ${tenth(heights[i + 1]!)} ${tenth((i + 1) * step)} ${tenth(heights[i + 1]!)}`;
  }
  canvas.fill(`${path}V${canvas.height}z`, fill);
}

/** A row of pointed mountains with snow on the tops. */
export function drawMountains(canvas: Canvas, horizon: number, colour: string, snow: string): void {
  const foot = horizon + OVERLAP * canvas.height;
  const count = Math.max(3, Math.round(canvas.width / 170));
  for (let i = 0; i < count; i++) {
    const x = ((i + canvas.random.between(0.2, 0.8)) / count) * canvas.width;
    const height = canvas.random.between(0.3, 0.62) * horizon;
    const half = height * canvas.random.between(0.75, 1.1);
    const top = horizon - height;
    canvas.polygon(
      [
        { x: x - half, y: foot },
        { x, y: top },
        { x: x + half, y: foot },
      ],
      colour,
    );
    const cap = 0.28;
    canvas.polygon(
      [
        { x: x - half * cap, y: top + height * cap },
        { x, y: top },
        { x: x + half * cap, y: top + height * cap },
        { x: x + half * cap * 0.35, y: top + height * cap * 0.72 },
        { x: x - half * cap * 0.2, y: top + height * cap * 1.1 },
      ],
      snow,
    );
  }
}

/** Tufts of grass over the ground from `top` down, larger when nearer. */
export function drawGrass(canvas: Canvas, top: number, colours: readonly string[]): void {
  const count = Math.round((canvas.width * (canvas.height - top)) / 1100);
  const at = Array.from({ length: count }, () => canvas.random.between(0, 1)).sort((a, b) => a - b);
  for (const depth of at) {
    const x = canvas.random.between(0, canvas.width);
    const y = top + depth * (canvas.height - top) + 4;
    const size = 4 + 9 * depth;
    const path = [-0.5, 0, 0.5].map(
      lean => `M${tenth(x)} ${tenth(y)}q0 ${tenth(-size * 0.6)} ${tenth(lean * size)} ${tenth(-size)}`,
    );
    canvas.line(path.join(''), { colour: canvas.random.pick(colours), width: 1 + depth, opacity: 0.75 });
  }
}

/** Small flowers or fallen leaves: a scatter of spots over the ground. */
export function drawSpots(
  canvas: Canvas,
  top: number,
  count: number,
  colours: readonly string[],
  size: number,
): void {
  for (let i = 0; i < count; i++) {
    const depth = canvas.random.between(0, 1);
    const at = { x: canvas.random.between(0, canvas.width), y: top + depth * (canvas.height - top) };
    const radius = size * (0.5 + depth * 0.8);
    canvas.ellipse(at, radius, radius * 0.65, canvas.random.pick(colours), 0.9);
  }
}

/** Short waves over water between `top` and `bottom`. */
export function drawWaves(canvas: Canvas, top: number, bottom: number, colour: string): void {
  const rows = Math.max(3, Math.round((bottom - top) / 17));
  for (let row = 0; row < rows; row++) {
    const depth = (row + 0.5) / rows;
    const length = 14 + 40 * depth;
    for (
      let x = canvas.random.between(-length, 0);
      x < canvas.width;
      x += length * canvas.random.between(1.6, 3.4)
    ) {
      const y = top + depth * (bottom - top) + canvas.random.between(-4, 4);
      const [half, rise] = [tenth(length / 2), tenth(-2 - 4 * depth)];
      canvas.line(`M${tenth(x)} ${tenth(y)}q${tenth(length / 4)} ${rise} ${half} 0t${half} 0`, {
        colour,
        width: 1 + 1.3 * depth,
        opacity: 0.55,
      });
    }
  }
}
