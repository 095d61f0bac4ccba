#define BYTES 32
#define MOST_WIDE 8
#define MOST_TALL 2
#define ROWS_WIDE 1
#define ROWS_TALL 6
#define ISA avx2
#define NAME avx2_engine
#include "engine_impl.h"
#include "linear_impl.h"
