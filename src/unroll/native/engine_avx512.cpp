#define BYTES 64
#define REGISTERS 24
#define MOST_WIDE 9
#define MOST_TALL 4
#define ISA avx512
#define NAME avx512_engine
#include "engine_impl.h"
#include "linear_impl.h"
