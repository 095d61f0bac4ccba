#define BYTES 32
#define REGISTERS 12
#define MOST_WIDE 6
#define MOST_TALL 4
#define ISA avx2
#define NAME avx2_engine
#include "engine_impl.h"
#include "linear_impl.h"
