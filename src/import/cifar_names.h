/* The official class names. Private to src/import. */
#ifndef MBT_CIFAR_NAMES_H
#define MBT_CIFAR_NAMES_H

enum { CIFAR10_CLASSES = 10, CIFAR100_FINE = 100, CIFAR100_COARSE = 20 };

extern const char *const cifar10_names[CIFAR10_CLASSES];
extern const char *const cifar100_fine_names[CIFAR100_FINE];
extern const char *const cifar100_coarse_names[CIFAR100_COARSE];

#endif
