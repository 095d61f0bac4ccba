// What every target has: 16-byte vectors, which are NEON on ARM.
#define BYTES 16
#define REGISTERS 12
#define MOST_WIDE 6
#define MOST_TALL 4
#define ISA portable
#define NAME portable_engine
#include "engine_impl.h"
#include "linear_impl.h"
