/* A Vulkan driver that is another one until a file appears: from then on the device is lost at every submission. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef void (*function)(void);
typedef function (*lookup)(void *, const char *);
typedef int (*submission)(void *, unsigned, const void *, void *);

static const int device_lost = -4; /* VK_ERROR_DEVICE_LOST */
static submission submit;
static lookup device_functions;

static void *driver(void) {
  static void *handle;
  if (!handle) handle = dlopen(getenv("LOST_CARD_DRIVER"), RTLD_NOW);
  return handle;
}

static int submit_or_lose(void *queue, unsigned count, const void *batches, void *fence) {
  return access(getenv("LOST_CARD_FILE"), F_OK) == 0 ? device_lost : submit(queue, count, batches, fence);
}

static function wrapped(const char *name, function found) {
  if (strcmp(name, "vkQueueSubmit") || !found) return found;
  submit = (submission)found;
  return (function)submit_or_lose;
}

static function of_device(void *device, const char *name) { return wrapped(name, device_functions(device, name)); }

function vk_icdGetInstanceProcAddr(void *instance, const char *name) {
  function found = ((lookup)dlsym(driver(), "vk_icdGetInstanceProcAddr"))(instance, name);
  if (strcmp(name, "vkGetDeviceProcAddr")) return wrapped(name, found);
  device_functions = (lookup)found;
  return (function)of_device;
}

int vk_icdNegotiateLoaderICDInterfaceVersion(unsigned *version) {
  return ((int (*)(unsigned *))dlsym(driver(), "vk_icdNegotiateLoaderICDInterfaceVersion"))(version);
}
