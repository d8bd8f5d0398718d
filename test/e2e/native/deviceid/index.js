// Stands in for the compiled module that stores an identifier of the machine for telemetry, which is off here.
exports.getDeviceId = async () => '00000000-0000-4000-8000-000000000000';
