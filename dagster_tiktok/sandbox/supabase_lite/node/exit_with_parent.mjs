// Preloaded into the server's process: ends it when the process that started it is gone, however
// that one ended. The parent holds the other end of the standard input.
const stop = () => {
  setTimeout(() => process.exit(0), 3000);
  process.kill(process.pid, "SIGTERM");
};
process.stdin.once("end", stop);
process.stdin.resume();
process.stdin.unref?.();
