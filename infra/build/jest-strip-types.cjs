const { stripTypeScriptTypes } = require('node:module');

/** Node's own type stripping as Jest's transformer: the tests run the very text that production runs. */
module.exports = { process: (source) => ({ code: stripTypeScriptTypes(source) }) };
