// Stands in for the compiled logger: appends every line to the log file at once, without rotation.
const { appendFileSync, mkdirSync } = require('node:fs');
const { dirname } = require('node:path');

const levels = ['trace', 'debug', 'info', 'warn', 'error', 'critical', 'off'];
let sharedLevel = 2;

class Logger {
  constructor(_kind, name, file) {
    this.name = name;
    this.file = file;
    this.level = sharedLevel;
    this.plain = false;
    mkdirSync(dirname(file), { recursive: true });
  }

  write(level, message) {
    if (level < this.level) return;
    const line = this.plain ? message : `${new Date().toISOString()} [${levels[level]}] ${message}\n`;
    try {
      appendFileSync(this.file, line);
    } catch {
      // The data folder is removed while the server shuts down.
    }
  }

  getLevel() {
    return this.level;
  }

  setLevel(level) {
    this.level = level;
  }

  clearFormatters() {
    this.plain = true;
  }

  setPattern() {}
  flush() {}
  drop() {}
}

for (const [level, method] of levels.slice(0, 6).entries()) {
  Logger.prototype[method] = function log(message) {
    this.write(level, message);
  };
}

// Assigned one by one, so that import() sees each name.
exports.version = 0;
exports.Logger = Logger;
exports.setFlushOn = () => {};
exports.setLevel = level => {
  sharedLevel = level;
};
exports.createRotatingLogger = async (name, file) => new Logger('rotating', name, file);
exports.createAsyncRotatingLogger = async (name, file) => new Logger('rotating_async', name, file);
