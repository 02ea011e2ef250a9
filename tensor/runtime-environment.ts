// Imported before the runtime is loaded, for what it reads then: its Linux builds collect usage events and write logs
// and a device id into the user's folders unless told not to (onnxruntime 1.30). MESA tells nobody anything.

process.env['ORT_DISABLE_TELEMETRY'] = '1';
