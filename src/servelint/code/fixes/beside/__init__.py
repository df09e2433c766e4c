"""Why a fix that is safe by itself is not, for what stands or runs beside the call."""
