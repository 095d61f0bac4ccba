#define BYTES 64
#define MOST_WIDE 8
#define MOST_TALL 4
#define ROWS_WIDE 3
#define ROWS_TALL 6
#define ISA avx512
#define NAME avx512_engine
#include "engine_impl.h"
#include "linear_impl.h"
