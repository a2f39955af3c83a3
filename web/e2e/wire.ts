/** A wire that can be cut: everything between the page and the server goes through it. */
import { connect, createServer, type Socket } from "node:net";

export interface Wire {
  readonly baseUrl: string;
  /** Breaks every connection at once, in the middle of whatever they carry. */
  cut: () => void;
  close: () => void;
}

export function layWire(target: string): Promise<Wire> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    // A cut is what we do here.
    socket.on("error", () => undefined);
  };
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    keep(near);
    keep(far);
    near.pipe(far).on("close", () => near.destroy());
    far.pipe(near).on("close", () => far.destroy());
  });
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return new Promise((done, fail) => {
    server.once("error", fail);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (typeof address !== "object" || address === null) return fail(new Error("no port"));
      done({
        baseUrl: `http://127.0.0.1:${address.port}`,
        cut,
        close: () => {
          cut();
          server.close();
        },
      });
    });
  });
}
