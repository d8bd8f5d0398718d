/**
 * What a link does: `node linkProbe.mjs serve ADDRESS` on one machine, `node linkProbe.mjs ask ADDRESS` on another prints the
 * median round trip of one byte and the bits a second of a transfer, as JSON.
 */
import { once } from 'node:events';
import net from 'node:net';

const [role, address] = process.argv.slice(2);
const [port, rounds, transferBytes, chunkBytes] = [5555, 200, 128 * 2 ** 20, 2 ** 18];

/** Answers each byte until the first of a transfer comes, whose end it answers. */
function serve(socket) {
  let left = 0;
  socket.setNoDelay(true);
  socket.on('data', data => {
    if (left === 0 && data[0] === 1) left = transferBytes;
    if (left > 0) left -= data.length;
    if (left === 0) socket.write(Uint8Array.of(0));
  });
}

async function ask() {
  const socket = net.connect(port, address);
  await once(socket, 'connect');
  socket.setNoDelay(true);
  const answered = async () => void (await once(socket, 'data'));
  const times = [];
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    socket.write(Uint8Array.of(0));
    await answered();
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  const start = performance.now();
  for (let sent = 0; sent < transferBytes; sent += chunkBytes)
    if (!socket.write(new Uint8Array(chunkBytes).fill(1))) await once(socket, 'drain');
  await answered();
  const seconds = (performance.now() - start) / 1000;
  socket.end();
  console.log(
    JSON.stringify({
      roundTripMs: times[rounds / 2],
      slowRoundTripMs: times[rounds * 0.95],
      bitsPerSecond: (8 * transferBytes) / seconds,
    }),
  );
}

if (role === 'serve') net.createServer(serve).listen(port, address, () => console.log('ready'));
else await ask();
