/* desg-desk - what people decide, kept. */
#include "desk/desk.h"

int main(int argc, char **argv)
{
    return service_main(argc, argv, &desk_service);
}
