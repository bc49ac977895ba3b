#include KT_HEADER

int main(void)
{
    return 0;
}
