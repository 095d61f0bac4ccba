// Vectors of 16 bytes: SSE2 on x86-64, NEON on 64-bit ARM, what the compiler makes of them elsewhere.
#define BYTES 16
#define MOST_WIDE 8
#define MOST_TALL 2
#define ROWS_WIDE 1
#define ROWS_TALL 6
#define ISA portable
#define NAME portable_engine
#include "engine_impl.h"
#include "linear_impl.h"
