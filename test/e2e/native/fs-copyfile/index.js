// Stands in for the compiled module that clones files where the volume can: Node's own copy is the fallback it names.
const { constants } = require('node:fs');
const { copyFile, cp } = require('node:fs/promises');

exports.constants = constants;
exports.copyFile = copyFile;
exports.cp = cp;
exports.isCloneSupported = () => false;
