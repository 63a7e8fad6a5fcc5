"""How fast policies decode: measured, beside the floor that the device sets and the published way of decoding."""
